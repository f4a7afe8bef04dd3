import { Worker } from 'node:worker_threads';
import { AppError, type ErrorCode } from '@tiercel/contracts';
import type { Logger } from '@tiercel/runtime';
import type { Catalogue } from '../catalogue.ts';
import { examineEdit, type ExaminedEdit } from './examine-edit.ts';
import { examinePrompt, type ExaminedPrompt, type PromptRules } from './examine-prompt.ts';
import type { Body } from './read-blocks.ts';

export interface ThreadData {
  readonly dataDir: string;
  readonly maxNodes: number;
  readonly maxValues: number;
}

export type ThreadRequest =
  | { readonly kind: 'catalogue'; readonly text: string }
  | { readonly kind: 'prompt' | 'edit'; readonly id: number; readonly blocks: Blocks };

export interface ThreadReply {
  readonly id: number;
  readonly examined?: ExaminedPrompt | ExaminedEdit;
  readonly refused?: { readonly code: ErrorCode; readonly message: string };
  /** An error of ours, as text for the log. */
  readonly failed?: string;
}

type Blocks = readonly Uint8Array<ArrayBuffer>[];

/** Memory is given back when no large body has come for this long. */
const IDLE_MS = 60_000;
/** A body of 100 MiB with all the values it may have takes a third of this. */
const MAX_HEAP_MB = 1_536;

/** Reads what prompts and edits of the queue say: small bodies at once, large ones in another thread. */
export class BodyExaminer {
  readonly #catalogue: Catalogue;
  readonly #data: ThreadData;
  readonly #fileExists: PromptRules['fileExists'];
  readonly #log: Logger;
  #thread: JsonThread | undefined;

  constructor(dependencies: {
    catalogue: Catalogue;
    fileExists: PromptRules['fileExists'];
    data: ThreadData;
    log: Logger;
  }) {
    this.#catalogue = dependencies.catalogue;
    this.#fileExists = dependencies.fileExists;
    this.#data = dependencies.data;
    this.#log = dependencies.log;
  }

  /** @throws AppError bad_json, bad_request, body_too_large, prompt_too_large */
  async examinePrompt(body: Body): Promise<ExaminedPrompt> {
    if (body.kind === 'small') {
      const { maxNodes, maxValues } = this.#data;
      const { objectInfo } = this.#catalogue;
      const rules = { objectInfo, maxNodes, maxValues, fileExists: this.#fileExists };
      return await examinePrompt(body.bytes, rules);
    }
    const thread = this.#ensureThread();
    thread.setCatalogue(this.#catalogue);
    return (await thread.ask('prompt', body.blocks)) as ExaminedPrompt; // of its kind
  }

  /** @throws AppError bad_json, bad_request, body_too_large */
  async examineEdit(body: Body): Promise<ExaminedEdit> {
    if (body.kind === 'small') return examineEdit(body.bytes, this.#data.maxValues);
    return (await this.#ensureThread().ask('edit', body.blocks)) as ExaminedEdit; // of its kind
  }

  async stop(): Promise<void> {
    await this.#thread?.stop();
  }

  #ensureThread(): JsonThread {
    this.#thread ??= new JsonThread(this.#data, this.#log, () => {
      this.#thread = undefined;
    });
    return this.#thread;
  }
}

interface Waiting {
  readonly resolve: (examined: ExaminedPrompt | ExaminedEdit) => void;
  readonly reject: (error: Error) => void;
}

/** One life of the thread. */
class JsonThread {
  readonly #worker: Worker;
  readonly #log: Logger;
  readonly #onEnd: () => void;
  readonly #waiting = new Map<number, Waiting>();
  readonly #idle: NodeJS.Timeout;
  #lastId = 0;
  #catalogueKey = '';

  constructor(data: ThreadData, log: Logger, onEnd: () => void) {
    this.#log = log;
    this.#onEnd = onEnd;
    this.#worker = new Worker(new URL('./json-thread.js', import.meta.url), {
      workerData: data,
      resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
    });
    this.#worker.unref();
    this.#worker.on('message', (reply: ThreadReply) => {
      this.#settle(reply);
    });
    this.#worker.on('error', (error: NodeJS.ErrnoException) => {
      this.#end(error);
    });
    this.#idle = setTimeout(() => {
      if (this.#waiting.size > 0) this.#idle.refresh();
      else void this.stop();
    }, IDLE_MS);
    this.#idle.unref();
  }

  /** Only when it has changed: it may hold thousands of classes. */
  setCatalogue(catalogue: Catalogue): void {
    if (catalogue.key === this.#catalogueKey) return;
    this.#catalogueKey = catalogue.key;
    this.#post({ kind: 'catalogue', text: catalogue.classesText() });
  }

  /** The blocks are given away. */
  ask(kind: 'prompt' | 'edit', blocks: Blocks): Promise<ExaminedPrompt | ExaminedEdit> {
    this.#idle.refresh();
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      const transferred = blocks.map(({ buffer }) => buffer);
      this.#worker.postMessage({ kind, id, blocks } satisfies ThreadRequest, transferred);
    });
  }

  async stop(): Promise<void> {
    this.#end(new Error('stopped'));
    await this.#worker.terminate();
  }

  #post(request: ThreadRequest): void {
    this.#worker.postMessage(request);
  }

  #settle({ id, examined, refused, failed }: ThreadReply): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (examined !== undefined) waiting?.resolve(examined);
    else if (refused !== undefined) waiting?.reject(new AppError(refused.code, refused.message));
    else waiting?.reject(new Error(failed));
  }

  #end(error: NodeJS.ErrnoException): void {
    clearTimeout(this.#idle);
    this.#onEnd();
    const isMemory = error.code === 'ERR_WORKER_OUT_OF_MEMORY';
    if (this.#waiting.size > 0) this.#log.warn({ err: error }, 'reading large bodies failed');
    for (const { reject } of this.#waiting.values()) {
      reject(
        isMemory
          ? new AppError('body_too_large', 'The body takes too much memory to be read.')
          : new AppError('internal', 'The body could not be read.', { cause: error }),
      );
    }
    this.#waiting.clear();
  }
}
