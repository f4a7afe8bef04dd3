import {
  isFileType,
  type NewOutput,
  type OutputNaming,
  type OutputRef,
  type UiOutput,
} from '@tiercel/contracts';
import type { RemoteFile } from './comfy-client.ts';
import { ComfyRequestError } from './comfy-request.ts';

/** The way of a file from a server into our storage. */
export interface OutputTransfer {
  /** @param use gets the content, whole or in parts while they come */
  download<T>(file: RemoteFile, use: (bytes: NewOutput['bytes']) => Promise<T>): Promise<T>;
  saveOutput(output: NewOutput): Promise<OutputRef>;
}

/**
 * `name_00012_.png`, `name_00012.mp4`, `name_00012-audio.mp4`: the counter is replaced by ours. ComfyUI's has five
 * digits until it needs a sixth; a longer number is something else (a seed) and stays.
 */
const NUMBERED = /^(.*)_(?:\d{5}|[1-9]\d{5})(?!\d)([^./\\]*)(\.\w+)$/s;
const PLAIN = /^(.*?)(\.\w+)$/s;
/** Nodes that show 3D models name them by a bare string. */
const MODEL_3D = /\.(obj|fbx|gltf|glb|usdz|stl|ply)$/i;

/**
 * Brings what a node shows into our storage: every file it names, of whatever kind, is stored under a
 * fresh name, and the names are replaced. Text, flags (`animated`) and unknown members stay.
 */
export async function downloadOutputs(
  output: UiOutput,
  transfer: OutputTransfer,
): Promise<UiOutput> {
  const entries: [string, unknown][] = [];
  for (const [key, value] of Object.entries(output)) {
    const holdsFiles = key !== 'text' && Array.isArray(value);
    entries.push([key, holdsFiles ? await downloadList(value, transfer) : value]);
  }
  return Object.fromEntries(entries);
}

async function downloadList(
  items: readonly unknown[],
  transfer: OutputTransfer,
): Promise<readonly unknown[]> {
  const stored: unknown[] = [];
  for (const item of items) stored.push(await downloadItem(item, transfer));
  return stored;
}

async function downloadItem(item: unknown, transfer: OutputTransfer): Promise<unknown> {
  if (typeof item === 'string' && MODEL_3D.test(item)) {
    const slash = item.lastIndexOf('/');
    const file = {
      filename: item.slice(slash + 1),
      subfolder: slash < 0 ? '' : item.slice(0, slash),
      type: 'output',
    };
    const stored = await store(file, transfer).catch((error: unknown) => {
      if (isRefused(error)) return undefined;
      throw error;
    });
    if (stored === undefined) return item;
    const { subfolder, filename } = stored;
    return subfolder === '' ? filename : `${subfolder}/${filename}`;
  }
  if (!isRemoteFile(item)) return item;
  return { ...item, ...(await store(item, transfer)) };
}

/** A bare string may be any text that ends like a model's name: then the server has no such output. */
function isRefused(error: unknown): boolean {
  return error instanceof ComfyRequestError && [400, 403, 404].includes(error.status ?? 0);
}

function isRemoteFile(item: unknown): item is RemoteFile {
  if (typeof item !== 'object' || item === null) return false;
  const { filename, subfolder, type } = item as Partial<Record<keyof RemoteFile, unknown>>;
  return typeof filename === 'string' && typeof subfolder === 'string' && typeof type === 'string';
}

async function store(file: RemoteFile, transfer: OutputTransfer): Promise<OutputRef> {
  const { stem, extension, naming } = readName(file.filename);
  return await transfer.download(file, (bytes) =>
    transfer.saveOutput({
      type: isFileType(file.type) ? file.type : 'output',
      prefix: file.subfolder === '' ? stem : `${file.subfolder}/${stem}`,
      ...{ extension, naming, bytes },
    }),
  );
}

function readName(filename: string): { stem: string; extension: string; naming: OutputNaming } {
  const numbered = NUMBERED.exec(filename);
  if (numbered !== null) {
    const [, stem = '', after = '', extension = ''] = numbered;
    return { stem, extension, naming: { kind: 'numbered', after } };
  }
  const [, stem = filename, extension = '.bin'] = PLAIN.exec(filename) ?? [];
  return { stem, extension, naming: { kind: 'plain' } };
}
