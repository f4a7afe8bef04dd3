import type { Request } from 'express';
import type { Route } from '../http/route.ts';
import { endEmpty } from './view-http.ts';

export interface ModelDeps {
  /** Folder -> file names, of all workers together. */
  models(): Promise<Readonly<Record<string, readonly string[]>>>;
  embeddings(): Promise<readonly string[]>;
}

/** ComfyUI's own model folders, in its order (0.3.64, transcript 17). */
const STANDARD_FOLDERS = [
  'checkpoints',
  'configs',
  'loras',
  'vae',
  'text_encoders',
  'diffusion_models',
  'clip_vision',
  'style_models',
  'embeddings',
  'diffusers',
  'vae_approx',
  'controlnet',
  'gligen',
  'upscale_models',
  'custom_nodes',
  'hypernetworks',
  'photomaker',
  'classifiers',
  'model_patches',
  'audio_encoders',
];
/** Folders that /experiment/models leaves out. */
const NOT_MODELS = new Set(['configs', 'custom_nodes']);
const MODEL_FILE = /\.(?:safetensors|sft|ckpt|pt2?|pth|bin|pkl)$/;

/** Lists of models. Nothing is known of where a worker keeps them, so no folder paths are told. */
export function createModelRoutes(deps: ModelDeps): Route[] {
  const listFolders = async () => [
    ...new Set([...STANDARD_FOLDERS, ...Object.keys(await deps.models())]),
  ];
  const listFiles = async (req: Request): Promise<readonly string[] | null> => {
    const folder = typeof req.params.folder === 'string' ? req.params.folder : '';
    const models = new Map(Object.entries(await deps.models()));
    return models.get(folder) ?? (STANDARD_FOLDERS.includes(folder) ? [] : null);
  };

  return [
    {
      method: 'GET',
      path: '/embeddings',
      handle: async (_req, res) => {
        res.json((await deps.embeddings()).map((name) => name.replace(MODEL_FILE, '')));
      },
    },
    {
      method: 'GET',
      path: '/models',
      handle: async (_req, res) => {
        res.json(await listFolders());
      },
    },
    {
      method: 'GET',
      path: '/models/:folder',
      handle: async (req, res) => {
        const names = await listFiles(req);
        if (names === null) endEmpty(res, 404);
        else res.json(names);
      },
    },
    {
      method: 'GET',
      path: '/experiment/models',
      handle: async (_req, res) => {
        const folders = (await listFolders()).filter((name) => !NOT_MODELS.has(name));
        res.json(folders.map((name) => ({ name, folders: [] })));
      },
    },
    {
      method: 'GET',
      path: '/experiment/models/:folder',
      handle: async (req, res) => {
        const names = await listFiles(req);
        const unknown = { pathIndex: 0, modified: 0, created: 0, size: 0 };
        if (names === null) endEmpty(res, 404);
        else res.json(names.map((name) => ({ name, ...unknown })));
      },
    },
    notFound('/experiment/models/preview/:folder/:index/*file'),
    notFound('/view_metadata/:folder'),
  ];
}

function notFound(path: string): Route {
  return {
    method: 'GET',
    path,
    handle: (_req, res) => {
      endEmpty(res, 404);
    },
  };
}
