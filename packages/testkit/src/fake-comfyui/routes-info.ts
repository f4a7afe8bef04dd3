import type { JsonObject } from '@tiercel/contracts';
import { empty, json, notFound, text, type Answer } from './answer.ts';
import { route, type Route } from './router.ts';
import { FEATURES } from './sockets.ts';
import type { FakeWorld } from './world.ts';

const MODEL_FOLDERS = [
  ...['checkpoints', 'configs', 'loras', 'vae', 'text_encoders', 'diffusion_models', 'clip_vision'],
  ...['style_models', 'embeddings', 'diffusers', 'vae_approx', 'controlnet', 'gligen'],
  ...['upscale_models', 'custom_nodes', 'hypernetworks', 'photomaker', 'classifiers'],
  ...['model_patches', 'audio_encoders'],
];
const MEMORY_BYTES = 25276502016;
const FREE_BYTES = 24512401408;

/** What the server is and has (wire 10), its pages and its extensions' routes. */
export function infoRoutes(world: FakeWorld): Route[] {
  const { settings, catalogue } = world;
  const listFolders = (): string[] => [
    ...new Set([...MODEL_FOLDERS, ...Object.keys(settings.models)]),
  ];
  const listModels = (folder: string): readonly string[] | undefined => {
    if (folder === 'checkpoints') return settings.checkpoints;
    return settings.models[folder] ?? (MODEL_FOLDERS.includes(folder) ? [] : undefined);
  };
  const constant = (pattern: RegExp, value: unknown): Route =>
    route('GET', pattern, () => json(value));
  // Read at each request: what a server offers may change while it runs.
  const present = (pattern: RegExp, read: () => unknown): Route =>
    route('GET', pattern, () => json(read()));
  return [
    route('GET', /^\/object_info$/, () => json(catalogue.describe())),
    route('GET', /^\/object_info\/([^/]+)$/, (_, [name = '']) => {
      const info = catalogue.find(name);
      return json(info === undefined ? {} : { [name]: info });
    }),
    present(/^\/models$/, listFolders),
    route('GET', /^\/models\/([^/]+)$/, (_, [folder = '']) => {
      const names = listModels(folder);
      return names === undefined ? empty(404) : json(names);
    }),
    present(/^\/embeddings$/, () => settings.embeddings),
    present(/^\/extensions$/, () => settings.extensions),
    present(/^\/features$/, () => ({ ...FEATURES, ...settings.features })),
    present(/^\/system_stats$/, () => describeSystem(settings)),
    ...newerRoutes(world, { listFolders, listModels }),
    constant(/^\/users$/, { storage: 'server', migrated: false }),
    constant(/^\/settings$/, {}),
    present(/^\/i18n$/, () => settings.i18n),
    present(/^\/workflow_templates$/, () => settings.workflowTemplates),
    route('GET', /^\/workflow_templates\/([^/]+)\/([^/]+)\.json$/, (_, [pack = '', name = '']) =>
      settings.workflowTemplates[pack]?.includes(name) === true
        ? json({ name, of: settings.name })
        : empty(404),
    ),
    constant(/^\/templates\/index\.json$/, []),
    ...pageRoutes(world),
  ];
}

interface ModelLists {
  readonly listFolders: () => readonly string[];
  readonly listModels: (folder: string) => readonly string[] | undefined;
}

/** Routes of the model library, and those that ComfyUI got after 0.3.64: absent unless they are set. */
function newerRoutes({ settings }: FakeWorld, { listFolders, listModels }: ModelLists): Route[] {
  const pathOf = (folder: string): string => `/srv/${settings.name}/models/${folder}`;
  return [
    route('GET', /^\/node_replacements$/, () =>
      settings.nodeReplacements === null ? notFound() : json(settings.nodeReplacements),
    ),
    route('GET', /^\/global_subgraphs$/, () => {
      if (settings.subgraphs === null) return notFound();
      const listed = Object.entries(settings.subgraphs).map(([id, { source, name, info }]) => {
        return [id, { source, name, info }] as const;
      });
      return json(Object.fromEntries(listed));
    }),
    route('GET', /^\/global_subgraphs\/([^/]+)$/, (_, [id = '']) =>
      settings.subgraphs === null ? notFound() : json(settings.subgraphs[id] ?? null),
    ),
    route('GET', /^\/view_metadata\/([^/]+)$/, ({ query }, [folder = '']) => {
      const metadata = settings.modelMetadata[`${folder}/${query.get('filename') ?? ''}`];
      return metadata === undefined ? empty(404) : json(metadata);
    }),
    route('GET', /^\/experiment\/models$/, () =>
      json(listFolders().map((name) => ({ name, folders: [pathOf(name)] }))),
    ),
    route('GET', /^\/experiment\/models\/([^/]+)$/, (_, [folder = '']) => {
      const names = listModels(folder);
      const facts = { pathIndex: 0, modified: 1.5, created: 1.25, size: 7 };
      return names === undefined ? empty(404) : json(names.map((name) => ({ name, ...facts })));
    }),
    route('GET', /^\/experiment\/models\/preview\/([^/]+)\/0\/(.+)$/, (_, [folder, file]) =>
      settings.modelPreviews.includes(`${folder ?? ''}/${file ?? ''}`)
        ? text(200, `preview by ${settings.name}`, 'image/webp')
        : empty(404),
    ),
    route('GET', /^\/internal\/folder_paths$/, () =>
      json(Object.fromEntries(listFolders().map((name) => [name, [pathOf(name)]]))),
    ),
  ];
}

function describeSystem({ device, system }: FakeWorld['settings']): JsonObject {
  return {
    system: {
      ...{ os: 'posix', ram_total: MEMORY_BYTES, ram_free: FREE_BYTES },
      ...{ comfyui_version: '0.3.64', required_frontend_version: '1.27.10' },
      ...{ installed_templates_version: null, required_templates_version: '0.1.95' },
      ...{ python_version: '3.11.7', pytorch_version: '2.13.0+cpu', embedded_python: false },
      argv: ['main.py', '--cpu'],
      ...system,
    },
    devices: [
      {
        ...{ name: 'cpu', type: 'cpu', index: null },
        ...{ vram_total: MEMORY_BYTES, vram_free: FREE_BYTES },
        ...{ torch_vram_total: MEMORY_BYTES, torch_vram_free: FREE_BYTES },
        ...device,
      },
    ],
  };
}

/** Files of the frontend and of extensions, and a route of a custom node pack. */
function pageRoutes({ settings: { name, extensions } }: FakeWorld): Route[] {
  const page =
    `<!doctype html><html><head><title>ComfyUI ${name}</title>` +
    '<script type="module" src="./assets/index.js"></script></head><body></body></html>';
  const file = (pattern: RegExp, body: string, type: string): Route =>
    route('GET', pattern, (): Answer => {
      const answer = text(200, body, type);
      return { ...answer, headers: { ...answer.headers, 'cache-control': 'no-cache' } };
    });
  return [
    file(/^\/$/, page, 'text/html'),
    file(/^\/assets\/index\.js$/, `console.log('frontend of ${name}');`, 'text/javascript'),
    file(/^\/docs\/[^.]+\.md$/, `# Written by ${name}`, 'text/markdown'),
    route('GET', /^(\/extensions\/.+\.js)$/, (_, [path = '']) =>
      extensions.includes(path)
        ? text(200, `console.log('${path} of ${name}');`, 'text/javascript')
        : empty(404),
    ),
    ...(['GET', 'POST'] as const).map((method) =>
      route(method, /^\/customnode\/ping$/, ({ query, body }) =>
        json({ pong: name, method, query: Object.fromEntries(query), body: body.toString() }),
      ),
    ),
  ];
}
