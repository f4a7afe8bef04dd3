import { randomUUID } from 'node:crypto';
import sharp from 'sharp';
import type { InputFile } from '@tiercel/comfyui';
import { fileOf } from '@tiercel/testkit';
import {
  DEFAULT_TENANT,
  type NewOutput,
  type OutputRef,
  parseJson,
  type PromptGraph,
  stringifyJson,
  type UiOutput,
} from '@tiercel/contracts';
import { GraphAnalysis } from '@tiercel/graph';
import type { NodeFiles } from '@tiercel/nodes';
import type { AttemptRequest, AttemptResult, Backend, TierAttemptContext } from '@tiercel/routing';
import { NO_MASK } from '@tiercel/runtime';
import { RecordingListener } from './conformance-listener.test-helpers.ts';

export const WORKFLOW = '{"workflow":{"last_node_id":9,"note":"Ähre","seed":18446744073709551615}}';

/** What a job of the suite asks for. */
export interface Wish {
  readonly prompt: string;
  readonly seed: number | bigint;
  readonly batch: number;
  readonly steps: number;
  /** Name of an input file to start from. */
  readonly init?: string;
  /** The class of a node that is put before the sampler (`LoraLoader`), or before the picture is saved. */
  readonly extra?: 'LoraLoader' | 'FaceDetailer';
  /** Put before the ids of all nodes. */
  readonly idPrefix: string;
}

/** A prompt, and which of its nodes are which. */
export interface Job {
  readonly request: AttemptRequest;
  readonly sampler: string;
  readonly saver: string;
  /** The node of `Wish.extra`. */
  readonly extra: string;
}

const SIDE = 256;
const CHECKPOINT = 'v1-5-pruned-emaonly.safetensors';

/** The default text-to-image prompt of ComfyUI: 256 x 256, one picture unless told otherwise. */
export function createJob(wish: Partial<Wish> = {}, over: Partial<AttemptRequest> = {}): Job {
  const { prompt = 'a "lighthouse" at 50%', seed = 2n ** 63n + 5n, batch = 1, steps = 6 } = wish;
  const { init, extra, idPrefix = '' } = wish;
  const id = (name: string): string => `${idPrefix}${name}`;
  const link = (name: string, slot = 0): [string, number] => [id(name), slot];
  const hasLora = extra === 'LoraLoader';
  const model = hasLora ? '10' : '4';
  const lora = { lora_name: 'detail.safetensors', strength_model: 0.8, strength_clip: 0.8 };
  const sampling = { steps, cfg: 1.5, sampler_name: 'euler', scheduler: 'normal' };
  const nodes: Record<string, { class_type: string; inputs: Record<string, unknown> }> = {
    '3': {
      class_type: 'KSampler',
      inputs: {
        ...{ seed, ...sampling, denoise: init === undefined ? 1 : 0.6, model: link(model) },
        ...{ positive: link('6'), negative: link('7'), latent_image: link('5') },
      },
    },
    '4': { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: CHECKPOINT } },
    '5':
      init === undefined
        ? {
            class_type: 'EmptyLatentImage',
            inputs: { width: SIDE, height: SIDE, batch_size: batch },
          }
        : { class_type: 'VAEEncode', inputs: { pixels: link('2'), vae: link('4', 2) } },
    '6': { class_type: 'CLIPTextEncode', inputs: { text: prompt, clip: link(model, 1) } },
    '7': { class_type: 'CLIPTextEncode', inputs: { text: 'fog', clip: link(model, 1) } },
    '8': { class_type: 'VAEDecode', inputs: { samples: link('3'), vae: link('4', 2) } },
    '9': {
      class_type: 'SaveImage',
      inputs: { images: link(extra === 'FaceDetailer' ? '10' : '8'), filename_prefix: 'conform' },
    },
    ...(init === undefined ? {} : { '2': { class_type: 'LoadImage', inputs: { image: init } } }),
    ...(hasLora
      ? { '10': { class_type: extra, inputs: { ...lora, model: link('4'), clip: link('4', 1) } } }
      : {}),
    ...(extra === 'FaceDetailer'
      ? { '10': { class_type: extra, inputs: { image: link('8') } } }
      : {}),
  };
  const named = Object.fromEntries(Object.entries(nodes).map(([name, node]) => [id(name), node]));
  const promptText = stringifyJson(named);
  const graph = parseJson(promptText) as unknown as PromptGraph; // written above
  const request: AttemptRequest = {
    tenant: DEFAULT_TENANT,
    promptId: randomUUID(),
    ...{ graph, analysis: new GraphAnalysis(graph, [id('9')]) },
    ...{ promptText, extraDataText: `{"extra_pnginfo":${WORKFLOW}}`, outputIds: [id('9')] },
    ...{ resumeToken: undefined, secretsText: undefined, fallback: undefined, cache: undefined },
    deadlineMs: Date.now() + 60_000,
    ...over,
  };
  return { request, sampler: id('3'), saver: id('9'), extra: id('10') };
}

/** Files in memory. */
export class MemoryFiles implements NodeFiles {
  readonly inputs = new Map<string, Uint8Array>();
  readonly #outputs = new Map<string, Uint8Array>();

  /** Files stored so far. */
  get count(): number {
    return this.#outputs.size;
  }

  async saveOutput({ prefix, extension, type, bytes }: NewOutput): Promise<OutputRef> {
    const filename = `${prefix}_${this.count}${extension}`;
    this.#outputs.set(filename, bytes instanceof Uint8Array ? bytes : await joinParts(bytes));
    return { filename, subfolder: '', type };
  }

  readInput(name: string): Promise<Uint8Array> {
    const bytes = this.inputs.get(name);
    return bytes ? Promise.resolve(bytes) : Promise.reject(new Error(`no input ${name}`));
  }

  async openInput(name: string): Promise<InputFile> {
    return fileOf(await this.readInput(name));
  }

  fingerprint(name: string): Promise<string> {
    return Promise.resolve(name);
  }

  outputExists({ filename }: OutputRef): Promise<boolean> {
    return Promise.resolve(this.#outputs.has(filename));
  }

  /** The stored files that a node shows as pictures. */
  picturesOf(output: UiOutput | undefined): Uint8Array[] {
    const images = (output?.images ?? []) as readonly OutputRef[]; // as SaveImage shows them
    return images.map(({ filename }) => this.#outputs.get(filename) ?? new Uint8Array());
  }
}

/** A backend and where it stores. */
export interface Place {
  readonly backend: Backend;
  readonly files: MemoryFiles;
  readonly close: () => void;
}

/** A run of one job, recorded in `events`. */
export interface Run {
  readonly job: Job;
  readonly events: RecordingListener;
  readonly result: Promise<AttemptResult>;
}

/** Runs a job as the router does. */
export function startRun(
  { backend }: Place,
  job: Job = createJob(),
  over: Partial<TierAttemptContext> = {},
): Run {
  const events = new RecordingListener();
  const context: TierAttemptContext = {
    ...{ signal: new AbortController().signal, listener: events },
    ...{ saveResumeToken: () => Promise.resolve(), claim: () => undefined },
    mask: NO_MASK,
    recorded: Promise.resolve(),
    // Nobody waits for a server that is away.
    ...{ hasAlternative: true, expectedMs: undefined },
    ...over,
  };
  return { job, events, result: backend.run(job.request, context) };
}

/** What a run failed with. */
export async function failureOf({ result }: Pick<Run, 'result'>): Promise<unknown> {
  return await result.then(
    () => new Error('the job was served'),
    (error: unknown) => error,
  );
}

/** The pixels of a picture, without what the file says beside them. */
export async function readPixels(
  file: Uint8Array | undefined,
): Promise<{ width: number; height: number; pixels: string; format: string }> {
  const picture = sharp(file);
  const { format } = await picture.metadata();
  const { data, info } = await picture.raw().toBuffer({ resolveWithObject: true });
  const { width, height } = info;
  return { width, height, format, pixels: data.toString('base64') };
}

/** The texts in a PNG, parsed as JSON with every digit. */
export async function readTexts(file: Uint8Array | undefined): Promise<Record<string, unknown>> {
  const { comments = [] } = await sharp(file).metadata();
  return Object.fromEntries(comments.map(({ keyword, text }) => [keyword, parseJson(text)]));
}

/** A picture to start from. */
export async function paintInput(background: string): Promise<Uint8Array> {
  const create = { width: SIDE, height: SIDE, channels: 3 as const, background };
  return await sharp({ create }).png().toBuffer();
}

async function joinParts(parts: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  for await (const part of parts) all.push(part);
  return Buffer.concat(all);
}
