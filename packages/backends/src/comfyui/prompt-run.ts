import type { JsonObject, NodeMeta, UiOutput } from '@tiercel/contracts';
import { isJsonObject } from '@tiercel/contracts';
import type { AttemptContext, AttemptResult, PreviewPicture } from '../backend.ts';
import { AttemptError, AttemptStopped, JobError, Stopped } from '../failures.ts';
import { FrameRelay } from './frame-relay.ts';
import { harvestOutput, type Harvester } from './harvest.ts';
import { mapPromptId } from './id-map.ts';

/** What a run needs of the server it is on. */
export interface RunServer {
  readHistory(id: string): Promise<JsonObject | undefined>;
  /** Ids that run or wait. */
  readQueue(): Promise<{ running: readonly string[]; pending: readonly string[] }>;
  interrupt(id: string): Promise<void>;
  deletePending(id: string): Promise<void>;
  deleteHistory(id: string): Promise<void>;
  /** The socket is open and says nothing: ComfyUI has forgotten it (WIRE.md 6.1). */
  renewSocket(): void;
}

export interface RunOptions {
  /** Silence after which the server is asked whether it still has the prompt. */
  readonly checkMs: number;
  /** A server that does not answer for this long has lost the prompt. */
  readonly lostAfterMs: number;
}

type Ending = { readonly kind: 'success' } | { readonly kind: 'failed'; readonly error: Error };

/** Out of memory on a GPU is the server's trouble, not the prompt's. */
const OUT_OF_MEMORY = /OutOfMemory/;
const CANCEL_EVERY_MS = 300;
const CANCEL_TRIES = 30;

/**
 * One prompt on one server, from its submit (or from finding it there) to its end: relays its frames,
 * brings its outputs home, and believes /queue and /history more than the socket.
 */
export class PromptRun {
  readonly #upstreamId: string;
  readonly #promptId: string;
  readonly #server: RunServer;
  readonly #context: AttemptContext;
  readonly #harvester: Harvester;
  readonly #options: RunOptions;
  readonly #relay: FrameRelay;
  readonly #outputs = new Map<string, UiOutput>();
  #executed: string[] = [];
  #current: { nodeId: string; nodeType: string } | undefined;
  #lastSign = Date.now();
  #work: Promise<void> = Promise.resolve();
  #end: (ending: Ending) => void = () => undefined;
  readonly #ended: Promise<Ending>;
  #wake: () => void = () => undefined;

  constructor(dependencies: {
    upstreamId: string;
    promptId: string;
    server: RunServer;
    context: AttemptContext;
    harvester: Harvester;
    options: RunOptions;
  }) {
    this.#upstreamId = dependencies.upstreamId;
    this.#promptId = dependencies.promptId;
    this.#server = dependencies.server;
    this.#context = dependencies.context;
    this.#harvester = dependencies.harvester;
    this.#options = dependencies.options;
    this.#relay = new FrameRelay(dependencies.context.listener);
    this.#ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** A text frame that belongs to this prompt. Frames are handled one after the other. */
  onFrame(type: string, data: object): void {
    this.#then(() => this.#handle(type, data));
  }

  onPreview(nodeId: string, picture: PreviewPicture): void {
    this.#then(() => {
      this.#relay.addPreview(nodeId, picture);
    });
  }

  onText(nodeId: string, text: string): void {
    this.#then(() => {
      this.#relay.flush();
      this.#context.listener.text(nodeId, text);
    });
  }

  /** One step after the other, in the order of the server; the first that fails ends the run. */
  #then(step: () => void | Promise<void>): void {
    this.#lastSign = Date.now();
    this.#work = this.#work.then(step);
    this.#work.catch((error: unknown) => {
      this.#end({ kind: 'failed', error: asError(error) });
    });
  }

  /** Frames may have been missed: the server is asked at once. */
  onGap(): void {
    this.#wake();
  }

  /**
   * Waits for the end and brings everything home.
   * @throws JobError (the prompt failed), AttemptError (the server did), AttemptStopped
   */
  async finish(): Promise<AttemptResult> {
    const { signal } = this.#context;
    const stopped = new Promise<'stopped'>((resolve) => {
      if (signal.aborted) resolve('stopped');
      signal.addEventListener('abort', () => {
        resolve('stopped');
      });
    });
    let firstSilence: number | undefined;
    for (;;) {
      const result = await Promise.race([this.#ended, stopped, this.#silence()]);
      if (result === 'stopped') return await this.#stop();
      if (typeof result === 'object') {
        if (result.kind === 'failed') throw result.error;
        return await this.#conclude();
      }
      try {
        if (await this.#lookAfter()) {
          // History knew it before the socket did.
          this.#server.renewSocket();
          return await this.#conclude();
        }
        firstSilence = undefined;
      } catch (error) {
        if (error instanceof JobError || isLost(error)) throw error;
        firstSilence ??= Date.now();
        if (Date.now() - firstSilence > this.#options.lostAfterMs) throw error;
      }
    }
  }

  /** Resolves after a while without frames, or when a gap says that some may be missing. */
  async #silence(): Promise<'silence'> {
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    for (;;) {
      const before = this.#lastSign;
      let timer: NodeJS.Timeout | undefined;
      const pause = new Promise<'paused'>((resolve) => {
        timer = setTimeout(() => {
          resolve('paused');
        }, this.#options.checkMs);
      });
      const first = await Promise.race([woken, pause]);
      clearTimeout(timer);
      if (first !== 'paused' || this.#lastSign === before) return 'silence';
    }
  }

  /**
   * Asks the server for the truth.
   * @returns true when the prompt has succeeded there; false when it is still under way
   * @throws AttemptError when it is nowhere
   */
  async #lookAfter(): Promise<boolean> {
    await this.#work;
    for (let look = 0; look < 2; look += 1) {
      const item = await this.#server.readHistory(this.#upstreamId);
      if (item !== undefined) return this.#readEnding(item);
      const { running, pending } = await this.#server.readQueue();
      if (running.includes(this.#upstreamId) || pending.includes(this.#upstreamId)) return false;
      // It may have moved from one to the other between the two answers.
    }
    throw new LostPrompt();
  }

  #readEnding(item: JsonObject): boolean {
    const status = item.status;
    if (!isJsonObject(status) || status.status_str === 'success') return true;
    const messages = Array.isArray(status.messages) ? status.messages : [];
    const last: unknown = messages.at(-1);
    if (Array.isArray(last) && typeof last[0] === 'string') {
      throw this.#toError(last[0], (last[1] ?? {}) as Record<string, unknown>);
    }
    throw new AttemptError('bad_output', 'the server kept no reason for a failed prompt');
  }

  async #handle(type: string, data: object): Promise<void> {
    const source = data as Record<string, unknown>;
    switch (type) {
      case 'status':
      case 'feature_flags':
      case 'execution_start':
        return;
      case 'execution_cached':
        this.#relay.flush();
        this.#context.listener.cached(Array.isArray(source.nodes) ? source.nodes.map(String) : []);
        return;
      case 'executing':
        if (typeof source.node !== 'string') return;
        this.#current = { nodeId: source.node, nodeType: '' };
        this.#relayMapped(type, data);
        return;
      case 'executed':
        this.#relay.flush();
        await this.#harvest(String(source.node), source);
        return;
      case 'execution_success':
        this.#relay.flush();
        this.#end({ kind: 'success' });
        return;
      case 'execution_error':
      case 'execution_interrupted':
        this.#relay.flush();
        this.#end({ kind: 'failed', error: this.#toError(type, source) });
        return;
      default:
        this.#relayMapped(type, data);
    }
  }

  #relayMapped(type: string, data: object): void {
    this.#relay.add({ type, data: mapPromptId(data, this.#upstreamId, this.#promptId) });
  }

  async #harvest(nodeId: string, frame: Record<string, unknown>): Promise<void> {
    const { output } = frame;
    const stored =
      typeof output === 'object' && output !== null
        ? await harvestOutput(output as UiOutput, this.#harvester)
        : null;
    if (stored !== null) this.#outputs.set(nodeId, stored);
    this.#executed.push(nodeId);
    this.#relayMapped('executed', { ...frame, output: stored });
  }

  /** The end: what the socket did not tell is read from history, then the server may forget it. */
  async #conclude(): Promise<AttemptResult> {
    await this.#work;
    const item = await this.#server.readHistory(this.#upstreamId);
    const outputs = isJsonObject(item?.outputs) ? item.outputs : {};
    for (const [nodeId, output] of Object.entries(outputs)) {
      if (this.#outputs.has(nodeId)) continue;
      await this.#harvest(nodeId, {
        node: nodeId,
        display_node: nodeId,
        output,
        prompt_id: this.#upstreamId,
      });
    }
    this.#relay.flush();
    this.#server.deleteHistory(this.#upstreamId).catch(() => undefined);
    return {
      outputs: Object.fromEntries(this.#outputs),
      meta: (isJsonObject(item?.meta) ? item.meta : {}) as unknown as Record<string, NodeMeta>,
      model: null,
      droppedParams: [],
      sketch: false,
    };
  }

  #toError(type: string, data: Record<string, unknown>): Error {
    const text = (value: unknown) => (typeof value === 'string' ? value : '');
    const list = (value: unknown) => (Array.isArray(value) ? value.map(String) : []);
    const partial = { outputs: Object.fromEntries(this.#outputs), meta: {} };
    if (type === 'execution_interrupted') {
      return new AttemptStopped({
        nodeId: text(data.node_id),
        nodeType: text(data.node_type),
        executed: list(data.executed),
        partial,
      });
    }
    const exceptionType = text(data.exception_type);
    if (OUT_OF_MEMORY.test(exceptionType)) {
      return new AttemptError('capacity', `out of memory at node ${text(data.node_id)}`);
    }
    return new JobError(
      'node_failed',
      {
        node_id: text(data.node_id),
        node_type: text(data.node_type),
        executed: list(data.executed),
        exception_message: text(data.exception_message),
        exception_type: exceptionType,
        traceback: list(data.traceback),
        current_inputs: (data.current_inputs ?? {}) as Record<string, unknown>,
        current_outputs: list(data.current_outputs),
      },
      { partial },
    );
  }

  /** Stopped from outside. After a shutdown the prompt goes on there, for the next worker. */
  async #stop(): Promise<never> {
    const { reason } = this.#context.signal as { reason: unknown };
    const at = {
      nodeId: this.#current?.nodeId ?? null,
      nodeType: this.#current?.nodeType ?? null,
      executed: this.#executed,
      partial: { outputs: Object.fromEntries(this.#outputs), meta: {} },
    };
    if (reason instanceof Stopped && reason.reason === 'shutdown') throw new AttemptStopped(at);
    for (let attempt = 0; attempt < CANCEL_TRIES; attempt += 1) {
      // Both: the prompt may be on its way from waiting to running.
      await this.#server.deletePending(this.#upstreamId).catch(() => undefined);
      await this.#server.interrupt(this.#upstreamId).catch(() => undefined);
      const ending = await Promise.race([this.#ended, pause(CANCEL_EVERY_MS)]);
      if (ending?.kind === 'failed' && ending.error instanceof AttemptStopped) throw ending.error;
      if (ending !== undefined) break;
      if (await this.#isGone()) break;
    }
    this.#server.deleteHistory(this.#upstreamId).catch(() => undefined);
    throw new AttemptStopped(at);
  }

  async #isGone(): Promise<boolean> {
    try {
      const { running, pending } = await this.#server.readQueue();
      return !running.includes(this.#upstreamId) && !pending.includes(this.#upstreamId);
    } catch {
      return false;
    }
  }
}

/** The server answers, and knows nothing of the prompt: it was restarted. */
class LostPrompt extends AttemptError {
  constructor() {
    super('server', 'the server no longer knows the prompt');
  }
}

function isLost(error: unknown): boolean {
  return error instanceof LostPrompt || error instanceof AttemptStopped;
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

function pause(durationMs: number): Promise<undefined> {
  return new Promise((resolve) => {
    setTimeout(() => {
      resolve(undefined);
    }, durationMs);
  });
}
