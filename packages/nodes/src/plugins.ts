import { readdir } from 'node:fs/promises';
import { join, parse } from 'node:path';
import { pathToFileURL } from 'node:url';
import { AppError } from '@tiercel/contracts';
import { PLUGIN_MODULE } from '@tiercel/graph';
import { encodePng } from '@tiercel/pictures';
import { createImage, encodeJpeg } from './image/create-image.ts';
import { type NodeDefinition, NodeError } from './node-definition.ts';

/** What a plug-in module's default function is given, so that it needs no import of ours. */
interface PluginApi {
  readonly createImage: typeof createImage;
  readonly encodeJpeg: typeof encodeJpeg;
  readonly encodePng: typeof encodePng;
  readonly NodeError: typeof NodeError;
}

const api: PluginApi = { createImage, encodeJpeg, encodePng, NodeError };

/**
 * Imports every *.js and *.mjs of a folder, by name. A module exports `nodes` (an array of NodeDefinition), or by
 * default a function from PluginApi to such an array (or a promise of one).
 * @throws AppError node_plugin_invalid, naming the file and what is wrong with it
 */
export async function loadPlugins(dir: string): Promise<NodeDefinition[]> {
  const files = await listModules(dir);
  const definitions: NodeDefinition[] = [];
  for (const file of files) {
    const found = await loadModule(join(dir, file), file);
    definitions.push(...found.map((node) => checkNode(node, file)));
  }
  return definitions;
}

async function listModules(dir: string): Promise<string[]> {
  try {
    return (await readdir(dir)).filter((name) => /\.m?js$/.test(name)).sort();
  } catch (cause) {
    throw new AppError('node_plugin_invalid', `The folder of node modules cannot be read: ${dir}`, {
      cause,
    });
  }
}

async function loadModule(path: string, file: string): Promise<readonly unknown[]> {
  let nodes: unknown;
  try {
    const module = (await import(pathToFileURL(path).href)) as Readonly<Record<string, unknown>>; // any module is that
    nodes = module.nodes;
    if (typeof module.default === 'function') {
      const create = module.default as (given: PluginApi) => unknown; // called as documented; the result is checked
      nodes = await create(api);
    }
  } catch (cause) {
    throw invalid(file, cause instanceof Error ? cause.message : 'it cannot be imported', cause);
  }
  if (Array.isArray(nodes)) return nodes as unknown[]; // each is checked by checkNode
  throw invalid(file, 'it must export an array "nodes" or a default function that returns one');
}

function checkNode(node: unknown, file: string): NodeDefinition {
  if (!isRecord(node)) throw invalid(file, 'a node must be an object');
  const { class_type, input, output, run } = node;
  if (typeof class_type !== 'string' || class_type === '') {
    throw invalid(file, 'a node has no class_type');
  }
  if (!isRecord(input)) throw invalid(file, `${class_type}: "input" must be an object`);
  for (const [section, specs] of Object.entries(input))
    checkSection(section, specs, class_type, file);
  if (!Array.isArray(output) || !output.every((type) => typeof type === 'string')) {
    throw invalid(file, `${class_type}: "output" must be an array of type names`);
  }
  if (typeof run !== 'function') throw invalid(file, `${class_type}: "run" must be a function`);
  for (const name of ['fingerprint', 'needs', 'validate'] as const) {
    if (node[name] !== undefined && typeof node[name] !== 'function') {
      throw invalid(file, `${class_type}: "${name}" must be a function`);
    }
  }
  const definition = node as unknown as NodeDefinition; // its parts have just been checked
  return {
    ...definition,
    python_module: `${PLUGIN_MODULE}.${parse(file).name}`,
    // A node may be an instance of a class: its methods are called on it, not on this copy.
    run: (inputs, context) => definition.run(inputs, context),
    ...(definition.fingerprint && {
      fingerprint: (inputs, context) => definition.fingerprint?.(inputs, context),
    }),
    ...(definition.needs && {
      needs: (inputs) => definition.needs?.(inputs) ?? [],
    }),
    ...(definition.validate && {
      validate: (inputs) => definition.validate?.(inputs) ?? true,
    }),
  };
}

function checkSection(section: string, specs: unknown, classType: string, file: string): void {
  if (!['required', 'optional', 'hidden'].includes(section)) {
    throw invalid(file, `${classType}: unknown input section "${section}"`);
  }
  if (!isRecord(specs)) throw invalid(file, `${classType}: input.${section} must be an object`);
  for (const [name, spec] of Object.entries(specs)) {
    const isSpec =
      section === 'hidden' ? typeof spec === 'string' : Array.isArray(spec) && spec.length > 0;
    if (!isSpec) throw invalid(file, `${classType}: input "${name}" has no type`);
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(file: string, reason: string, cause?: unknown): AppError {
  return new AppError('node_plugin_invalid', `${file}: ${reason}`, { cause });
}
