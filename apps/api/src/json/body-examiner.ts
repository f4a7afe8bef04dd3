import { Worker } from 'node:worker_threads';
import { AppError, parseJson, type Era, type ErrorCode, type JsonObject } from '@tiercel/contracts';
import { outlineGraph, type Outline } from '@tiercel/graph';
import type { Logger } from '@tiercel/runtime';
import type { Catalogue } from '../catalogue.ts';
import type { ServerRefresh } from '../server-refresh.ts';
import { examineEdit, type ExaminedEdit } from './examine-edit.ts';
import {
  examinePrompt,
  HeavyBodyError,
  type ExaminedPrompt,
  type PromptRequest,
} from './examine-prompt.ts';
import type { ExaminedWorkflow } from './examine-workflow.ts';
import { SMALL_BYTES, type Body } from './read-blocks.ts';

export interface ThreadData {
  readonly dataDir: string;
  readonly maxNodes: number;
  readonly maxValues: number;
  readonly era: Era;
}

/** What the thread examines, one after the other. */
export type ThreadTask =
  | ({
      readonly kind: 'prompt';
      readonly id: number;
      readonly blocks: Blocks;
    } & PromptSource)
  | {
      readonly kind: 'workflow';
      readonly id: number;
      readonly blocks: Blocks;
      readonly contentType: string | undefined;
    }
  | { readonly kind: 'edit'; readonly id: number; readonly blocks: Blocks }
  | {
      readonly kind: 'outline';
      readonly id: number;
      readonly blocks: Blocks;
      readonly outputIds: readonly string[];
    };

/** What the thread gives back of a task. */
export type Examined = ExaminedPrompt | ExaminedEdit | ExaminedWorkflow | Outline;

export type ThreadRequest =
  | ThreadTask
  | { readonly kind: 'catalogue'; readonly text: string; readonly nodeReplacements: JsonObject }
  /** The answer to `doubtful`; what was found is told before it. */
  | { readonly kind: 'looked'; readonly id: number; readonly hasServers: boolean };

export interface ThreadReply {
  readonly id: number;
  /** Not the end: the servers of these classes are to be looked at again. */
  readonly doubtful?: readonly string[];
  readonly examined?: Examined;
  readonly refused?: { readonly code: ErrorCode; readonly message: string };
  /** An error of ours, as text for the log. */
  readonly failed?: string;
}

/** Whether a tenant has a file. */
type FileTest = (annotatedName: string, tenant: string) => Promise<boolean>;

type Blocks = readonly Uint8Array<ArrayBuffer>[];

/** Memory is given back when no large body has come for this long. */
const IDLE_MS = 60_000;
/** A body of 100 MiB with all the values it may have takes a third of this. */
const MAX_HEAP_MB = 1_536;

/** Reads what prompts and edits of the queue say: small bodies at once, large ones in another thread. */
export class BodyExaminer {
  readonly #catalogue: Catalogue;
  readonly #serverRefresh: Pick<ServerRefresh, 'ask'>;
  readonly #data: ThreadData;
  readonly #fileExists: FileTest;
  readonly #log: Logger;
  readonly #threadUrl: URL;
  #thread: JsonThread | undefined;

  constructor(dependencies: {
    catalogue: Catalogue;
    serverRefresh: Pick<ServerRefresh, 'ask'>;
    fileExists: FileTest;
    data: ThreadData;
    log: Logger;
    /** The thread's program, for tests: built files lie beside this one. */
    threadUrl?: URL;
  }) {
    this.#catalogue = dependencies.catalogue;
    this.#serverRefresh = dependencies.serverRefresh;
    this.#fileExists = dependencies.fileExists;
    this.#data = dependencies.data;
    this.#log = dependencies.log;
    this.#threadUrl = dependencies.threadUrl ?? new URL('./json-thread.js', import.meta.url);
  }

  /** @throws AppError bad_json, bad_request, body_too_large, prompt_too_large */
  async examinePrompt(body: Body, source: PromptSource): Promise<ExaminedPrompt> {
    if (body.kind === 'small') {
      try {
        return await this.#examineSmall(body.bytes, source);
      } catch (error) {
        if (!(error instanceof HeavyBodyError)) throw error;
      }
    }
    const thread = this.#ensureThread();
    thread.sendCatalogue();
    const blocks = toBlocks(body);
    return (await thread.ask({ kind: 'prompt', blocks, ...source })) as ExaminedPrompt; // of its kind
  }

  async #examineSmall(bytes: Buffer, source: PromptSource): Promise<ExaminedPrompt> {
    const { maxNodes, maxValues, era } = this.#data;
    return await examinePrompt(
      { bytes, ...source },
      {
        ...{ maxNodes, maxValues, era, isLight: true },
        classes: () => this.#catalogue,
        refreshServers: (classNames) => this.#serverRefresh.ask(classNames),
        fileExists: (name) => this.#fileExists(name, source.tenant),
      },
    );
  }

  /**
   * Always in the thread: a small workflow may come to a large prompt.
   * @throws AppError bad_json, bad_request, body_too_large
   */
  async examineWorkflow(body: Body, contentType: string | undefined): Promise<ExaminedWorkflow> {
    const thread = this.#ensureThread();
    thread.sendCatalogue();
    const blocks = toBlocks(body);
    return (await thread.ask({ kind: 'workflow', blocks, contentType })) as ExaminedWorkflow; // of its kind
  }

  /** @throws AppError bad_json, bad_request, body_too_large */
  async examineEdit(body: Body): Promise<ExaminedEdit> {
    if (body.kind === 'small') return examineEdit(body.bytes, this.#data.maxValues);
    return (await this.#ensureThread().ask({
      kind: 'edit',
      blocks: body.blocks,
    })) as ExaminedEdit; // of its kind
  }

  /** The nodes that run of an accepted prompt. */
  async outline(promptText: string, outputIds: readonly string[]): Promise<Outline> {
    if (promptText.length <= SMALL_BYTES) return outlineGraph(parseJson(promptText), outputIds);
    const blocks = [new TextEncoder().encode(promptText)];
    return (await this.#ensureThread().ask({ kind: 'outline', blocks, outputIds })) as Outline; // of its kind
  }

  async stop(): Promise<void> {
    await this.#thread?.stop();
  }

  #ensureThread(): JsonThread {
    this.#thread ??= new JsonThread({
      catalogue: this.#catalogue,
      serverRefresh: this.#serverRefresh,
      data: this.#data,
      log: this.#log,
      url: this.#threadUrl,
      onEnd: () => {
        this.#thread = undefined;
      },
    });
    return this.#thread;
  }
}

/** Where a prompt comes from, as its request tells. */
export type PromptSource = Omit<PromptRequest, 'bytes'>;

/** As blocks that can be given away; what is small may be a part of a buffer that others use too. */
function toBlocks(body: Body): Blocks {
  return body.kind === 'large' ? body.blocks : [new Uint8Array(body.bytes)];
}

interface Waiting {
  readonly resolve: (examined: Examined) => void;
  readonly reject: (error: Error) => void;
}

interface ThreadDeps {
  readonly catalogue: Catalogue;
  readonly serverRefresh: Pick<ServerRefresh, 'ask'>;
  readonly data: ThreadData;
  readonly log: Logger;
  readonly url: URL;
  readonly onEnd: () => void;
}

/** What is asked of the thread, without its number. */
type Question<Task = ThreadTask> = Task extends ThreadTask ? Omit<Task, 'id'> : never;

/** One life of the thread. */
class JsonThread {
  readonly #worker: Worker;
  readonly #catalogue: Catalogue;
  readonly #serverRefresh: Pick<ServerRefresh, 'ask'>;
  readonly #log: Logger;
  readonly #onEnd: () => void;
  readonly #waiting = new Map<number, Waiting>();
  readonly #idle: NodeJS.Timeout;
  #lastId = 0;
  #catalogueKey = '';

  constructor({ catalogue, serverRefresh, data, log, url, onEnd }: ThreadDeps) {
    this.#catalogue = catalogue;
    this.#serverRefresh = serverRefresh;
    this.#log = log;
    this.#onEnd = onEnd;
    this.#worker = new Worker(url, {
      workerData: data,
      resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
    });
    this.#worker.unref();
    this.#worker.on('message', (reply: ThreadReply) => {
      if (reply.doubtful === undefined) this.#settle(reply);
      else void this.#refreshServers(reply.id, reply.doubtful);
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
  sendCatalogue(): void {
    const { key, nodeReplacements } = this.#catalogue;
    if (key === this.#catalogueKey) return;
    this.#catalogueKey = key;
    this.#post({ kind: 'catalogue', text: this.#catalogue.classesText(), nodeReplacements });
  }

  /** The blocks are given away. */
  ask(question: Question): Promise<Examined> {
    this.#idle.refresh();
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      const transferred = question.blocks.map(({ buffer }) => buffer);
      this.#worker.postMessage({ ...question, id } satisfies ThreadTask, transferred);
    });
  }

  async #refreshServers(id: number, classNames: readonly string[]): Promise<void> {
    const hasServers = await this.#serverRefresh.ask(classNames);
    this.sendCatalogue();
    this.#post({ kind: 'looked', id, hasServers });
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
