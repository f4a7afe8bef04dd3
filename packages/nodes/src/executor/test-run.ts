import {
  parseJson,
  type NewOutput,
  type OutputRef,
  type PromptGraph,
  type UiOutput,
} from '@tiercel/contracts';
import { readNodes } from '@tiercel/graph';
import { MemoryBudget } from '@tiercel/pictures';
import { createBuiltinNodes } from '../builtins/create-builtin-nodes.ts';
import type { NodeDefinition, PreviewImageBytes } from '../node-definition.ts';
import { createRegistry } from '../registry.ts';
import { executeGraph } from './execute-graph.ts';
import type { GraphResult } from './execution-errors.ts';
import type { ExecutionRequest } from './execution-request.ts';
import { NodeCache } from './node-cache.ts';

const MEMORY_BYTES = 1024 * 1024 * 1024;

/** Test support: a small file store and a log of what the listener hears. */
export interface Bench {
  readonly log: string[];
  readonly shown: Map<string, UiOutput | null>;
  readonly previews: PreviewImageBytes[];
  readonly saved: (NewOutput & { readonly bytes: Uint8Array })[];
  readonly memory: MemoryBudget;
  readonly inputs: Map<string, Uint8Array>;
  readonly missing: Set<string>;
  readonly cache: NodeCache;
  run(
    graph: PromptGraph | string,
    outputs: readonly string[],
    overrides?: Partial<ExecutionRequest>,
  ): Promise<GraphResult>;
}

export function createBench(
  options: { plugins?: readonly NodeDefinition[]; maxBytes?: number } = {},
): Bench {
  const registry = createRegistry([...createBuiltinNodes('abcde'), ...(options.plugins ?? [])]);
  const cache = new NodeCache({ maxBytes: options.maxBytes ?? 64 * 1024 * 1024 });
  const log: string[] = [];
  const shown = new Map<string, UiOutput | null>();
  const previews: PreviewImageBytes[] = [];
  const saved: Bench['saved'] = [];
  const memory = new MemoryBudget({
    maxBytes: MEMORY_BYTES,
    commonShare: 3 / 8,
    setting: 'worker.pictureMemoryBytes',
  });
  const inputs = new Map<string, Uint8Array>();
  const missing = new Set<string>();

  function readInput(name: string): Promise<Uint8Array> {
    const bytes = inputs.get(name);
    return bytes ? Promise.resolve(bytes) : Promise.reject(new Error('ENOENT /secret/path'));
  }

  return {
    log,
    shown,
    previews,
    saved,
    memory,
    inputs,
    missing,
    cache,
    run(graph, outputs, overrides = {}) {
      log.length = 0;
      const promptText = typeof graph === 'string' ? graph : JSON.stringify(graph);
      return executeGraph({
        promptId: 'p1',
        graph: readNodes(parseJson(promptText)),
        promptText,
        extraPnginfo: undefined,
        outputs,
        registry,
        cache,
        signal: new AbortController().signal,
        maxPixels: 16_777_216,
        memory,
        files: {
          async saveOutput(output) {
            const bytes = await readWhole(output.bytes);
            saved.push({ ...output, bytes });
            const filename = `${output.prefix}_${String(saved.length).padStart(5, '0')}_.png`;
            return { filename, subfolder: '', type: output.type };
          },
          readInput,
          fingerprint: async (name) => String((await readInput(name)).length),
          outputExists: (output: OutputRef) => Promise.resolve(!missing.has(output.filename)),
        },
        listener: {
          cached: (ids) => log.push(`cached ${ids.join(',')}`),
          nodeStarted: (id) => log.push(`started ${id}`),
          progress(id, value, max, preview) {
            log.push(`progress ${id} ${value}/${max}`);
            if (preview) previews.push(preview);
          },
          executed(id, ui, fromCache) {
            log.push(`executed ${id}${fromCache ? ' from cache' : ''}`);
            shown.set(id, ui);
          },
          picture: (id, { file }) => log.push(`picture ${id} ${file.type}/${file.filename}`),
          nodeFinished: (id) => log.push(`finished ${id}`),
        },
        ...overrides,
      });
    },
  };
}

async function readWhole(bytes: NewOutput['bytes']): Promise<Uint8Array> {
  if (bytes instanceof Uint8Array) return bytes;
  const parts: Uint8Array[] = [];
  for await (const part of bytes) parts.push(part);
  return Buffer.concat(parts);
}

/** Resolves when the log has the line. */
export async function waitForLine(log: readonly string[], line: string): Promise<void> {
  while (!log.includes(line)) await new Promise((done) => setTimeout(done, 2));
}

/** Nodes of test prompts. */
export const empty = (over = {}) => ({
  class_type: 'EmptyImage',
  inputs: { width: 8, height: 8, batch_size: 1, color: 1, ...over },
});
export const preview = (from: string) => ({
  class_type: 'PreviewImage',
  inputs: { images: [from, 0] },
});
export const save = (from: string, prefix = 'a') => ({
  class_type: 'SaveImage',
  inputs: { images: [from, 0], filename_prefix: prefix },
});
export const invert = (from: string) => ({
  class_type: 'ImageInvert',
  inputs: { image: [from, 0] },
});
export const scale = (from: string, width: number) => ({
  class_type: 'ImageScale',
  inputs: { image: [from, 0], upscale_method: 'bilinear', width, height: 32, crop: 'disabled' },
});
export const started = (log: readonly string[]) =>
  log.filter((line) => line.startsWith('started ')).map((line) => line.slice(8));

/** What a run fails with. */
export async function failure(run: Promise<unknown>): Promise<unknown> {
  try {
    await run;
  } catch (error) {
    return error;
  }
  throw new Error('the run did not fail');
}
