import { stringifyJson } from '@tiercel/contracts';
import type { Request } from 'express';
import { sendEmpty, sendJson, sendJsonText } from '../http/answer.ts';
import { readParam } from '../http/read-request.ts';
import type { Route } from '../http/route.ts';
import type { Gather } from '../proxy/gather.ts';
import type { Forward } from '../proxy/proxy.ts';
import { mergeFiles, mergeFolders } from './pool-library.ts';

export interface ModelDeps {
  /** Folder -> file names, of all workers together. */
  models(): Promise<Readonly<Record<string, readonly string[]>>>;
  embeddings(): Promise<readonly string[]>;
  readonly gather: Gather;
  /** Asks one server after the other for what it has of a model. */
  readonly forward: Forward;
}

/** ComfyUI's own model folders, in its order (0.3.64, wire 10.4). */
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
/** What is told of a file that no server tells of. */
const UNKNOWN_FILE = { pathIndex: 0, modified: 0, created: 0, size: 0 };
const MODEL_FILE = /\.(?:safetensors|sft|ckpt|pt2?|pth|bin|pkl)$/;

/**
 * Lists of models, and the model library: what the servers of the pool say of it, as one. Nothing is known of where
 * a worker itself keeps models, so of those only names are told.
 */
export function createModelRoutes(deps: ModelDeps): Route[] {
  const listFolders = async () => [
    ...new Set([...STANDARD_FOLDERS, ...Object.keys(await deps.models())]),
  ];
  const listFiles = async (req: Request): Promise<readonly string[] | null> => {
    const folder = readParam(req, 'folder');
    const models = new Map(Object.entries(await deps.models()));
    return models.get(folder) ?? (STANDARD_FOLDERS.includes(folder) ? [] : null);
  };

  return [
    {
      method: 'GET',
      path: '/embeddings',
      handle: async (_req, res) => {
        sendJson(
          res,
          (await deps.embeddings()).map((name) => name.replace(MODEL_FILE, '')),
        );
      },
    },
    {
      method: 'GET',
      path: '/models',
      handle: async (_req, res) => {
        sendJson(res, await listFolders());
      },
    },
    {
      method: 'GET',
      path: '/models/:folder',
      handle: async (req, res) => {
        const names = await listFiles(req);
        if (names === null) sendEmpty(res, 404);
        else sendJson(res, names);
      },
    },
    {
      method: 'GET',
      path: '/experiment/models',
      handle: async (req, res) => {
        const answered = mergeFolders(await deps.gather(req, '/experiment/models'));
        const known = new Set(answered.map(({ name }) => name));
        const rest = (await listFolders()).filter((name) => !NOT_MODELS.has(name));
        const more = rest.filter((name) => !known.has(name));
        sendJson(res, [...answered, ...more.map((name) => ({ name, folders: [] }))]);
      },
    },
    {
      method: 'GET',
      path: '/experiment/models/:folder',
      handle: async (req, res) => {
        const target = `/experiment/models/${encodeURIComponent(readParam(req, 'folder'))}`;
        const answered = mergeFiles(await deps.gather(req, target));
        const names = await listFiles(req);
        if (names === null && answered.length === 0) {
          sendEmpty(res, 404);
          return;
        }
        const known = new Set(answered.map(({ name }) => name));
        const more = (names ?? []).filter((name) => !known.has(name));
        const files = [...answered, ...more.map((name) => ({ name, ...UNKNOWN_FILE }))];
        sendJsonText(res, stringifyJson(files));
      },
    },
    fromAnyServer('/experiment/models/preview/:folder/:index/*file', deps),
    fromAnyServer('/view_metadata/:folder', deps),
  ];
}

/** A picture or the metadata of a model: of the first server that has it. */
function fromAnyServer(path: string, { forward }: Pick<ModelDeps, 'forward'>): Route {
  return {
    method: 'GET',
    path,
    handle: async (req, res) => {
      if ((await forward(req, res)) !== 'sent') sendEmpty(res, 404);
    },
  };
}
