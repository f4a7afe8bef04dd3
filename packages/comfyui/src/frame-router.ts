import type { WireEvent } from '@tiercel/contracts';
import { NO_MASK, type SecretMask, startTimer } from '@tiercel/runtime';
import type { FrameListener } from './comfy-socket.ts';
import { isBlockedBranch } from './prompt-ending.ts';
import type { PromptRun } from './prompt-run.ts';
import type { ComfyMessage } from './socket-frames.ts';

/** How extensions name the node that a message is about. */
const NODE_MEMBERS = ['node', 'node_id', 'nodeId', 'unique_id', 'display_node'];
/** ComfyUI's own messages: each is about a job, or is said to one socket alone. */
const CORE_MESSAGES: ReadonlySet<string> = new Set([
  ...['status', 'feature_flags', 'logs', 'executing', 'executed', 'progress', 'progress_state'],
  ...['execution_start', 'execution_cached', 'execution_success', 'execution_error'],
  'execution_interrupted',
]);

/** A broadcast reaches our sockets one after the other, within this. */
const APART_MS = 50;
/** Then it is forgotten. */
const KEEP_MS = 2_000;
const MAX_KEPT = 256;

/** What a node said at its end may be read after the end of its job: it came by another socket. */
const MASK_KEPT_MS = 60_000;

/** Which run each frame of one server belongs to; what belongs to no job goes to all clients. */
export class FrameRouter {
  /** Of the prompts of ours that are on the server. */
  readonly masks = new JobMasks();
  readonly #onMessage: (event: WireEvent) => void;
  readonly #runs = new Map<string, PromptRun>();
  readonly #broadcasts = new Broadcasts();
  /** The run that frames without a prompt id belong to: the last that this worker saw running there. */
  #current: PromptRun | undefined;
  /** Whether a prompt runs or waits there, anybody's; as the server said last. */
  #isServerBusy = false;

  /** @param onMessage called with what the server says to everybody and what is no job's */
  constructor(onMessage: (event: WireEvent) => void) {
    this.#onMessage = onMessage;
  }

  /** Whether prompts of ours are on the server. */
  get hasRuns(): boolean {
    return this.#runs.size > 0;
  }

  /** Routes frames to a run from now on. */
  attach(upstreamId: string, run: PromptRun): void {
    this.#runs.set(upstreamId, run);
  }

  /** A run that has taken the prompt over meanwhile keeps it. */
  detach(upstreamId: string, run: PromptRun): void {
    if (this.#runs.get(upstreamId) === run) this.#runs.delete(upstreamId);
    if (run === this.#current) this.#current = undefined;
  }

  /** Frames may have been missed. */
  checkRuns(): void {
    for (const run of this.#runs.values()) run.onGap();
  }

  /** Routes the frames of one more socket that receives frames of our prompts. */
  listen(): FrameListener {
    const socket = Symbol('socket');
    return {
      onMessage: (message) => {
        this.#route(message, socket);
      },
      onPreview: ({ node, promptId, mediaType, bytes }) => {
        if (node === undefined) return;
        this.#runOf(promptId)?.onPreview(node.node_id, { mediaType, bytes });
      },
      onText: ({ nodeId, text }) => {
        this.#current?.onText(nodeId, text);
      },
      // Which prompt's it was, nobody knows.
      onGarbage: () => {
        for (const run of this.#runs.values()) run.onGarbage();
      },
    };
  }

  /** A text frame of the socket that receives only broadcasts: what is no job's goes to all of our clients too. */
  onBroadcast({ type, data, raw }: ComfyMessage): void {
    if (typeof data !== 'object' || data === null || CORE_MESSAGES.has(type)) return;
    if (typeof (data as { prompt_id?: unknown }).prompt_id === 'string') return; // its client's
    this.#broadcasts.note(raw);
    if (!this.#isOfJob(data)) this.#onMessage(this.masks.hide({ type, data }));
  }

  /** Whether the socket that receives only broadcasts is there. */
  setReceivesBroadcasts(receives: boolean): void {
    this.#broadcasts.isListening = receives;
  }

  #route({ type, data, raw }: ComfyMessage, socket: symbol): void {
    if (typeof data !== 'object' || data === null) return;
    if (type === 'status') this.#isServerBusy = readRemaining(data) !== 0;
    const { prompt_id: promptId } = data as { prompt_id?: unknown };
    if (typeof promptId === 'string') {
      const run = this.#runs.get(promptId);
      if (run === undefined) return;
      // What comes after its end without a prompt id is another's, maybe one of another worker's.
      this.#current = isEnd(type, data) ? undefined : run;
      run.onFrame(type, data);
      return;
    }
    if (type === 'status' || type === 'feature_flags') return;
    if (CORE_MESSAGES.has(type)) {
      this.#current?.onFrame(type, data);
      return;
    }
    // An extension's own message names no prompt: it is the running one's, unless it is everybody's.
    const isBroadcast = this.#broadcasts.take(raw, socket);
    const isOurs = this.#isOfJob(data)
      ? Promise.resolve(true)
      : isBroadcast.then((isForAll) => !isForAll);
    this.#current?.onFrame(type, data, isOurs);
  }

  #runOf(promptId: string | undefined): PromptRun | undefined {
    return promptId === undefined ? this.#current : this.#runs.get(promptId);
  }

  /** Whether a message without a prompt id is about a node that runs now. */
  #isOfJob(data: object): boolean {
    return this.#isServerBusy && NODE_MEMBERS.some((name) => name in data);
  }
}

function isEnd(type: string, data: object): boolean {
  if (type === 'executing') return (data as { node?: unknown }).node === null;
  if (isBlockedBranch(type, data)) return false;
  return /^execution_(success|error|interrupted)$/.test(type);
}

/** Of a `status` frame; undefined when it does not say. */
function readRemaining(data: object): unknown {
  const { status } = data as { status?: { exec_info?: { queue_remaining?: unknown } } | null };
  return status?.exec_info?.queue_remaining;
}

/**
 * Tells which frames of our sockets a server sent to everybody, by one more socket that receives only those. ComfyUI
 * writes a frame to one socket after the other, so that copy may be a moment late.
 */
class Broadcasts {
  readonly #received: {
    readonly raw: string;
    readonly atMs: number;
    /** The sockets whose copy of it was told apart. */
    readonly takers: Set<symbol>;
  }[] = [];
  readonly #waiting = new Set<{ raw: string; socket: symbol; found: () => void }>();
  /** Whether the additional socket receives; nothing can be told while it does not. */
  isListening = false;

  /** A frame of the additional socket. */
  note(raw: string): void {
    const nowMs = performance.now();
    const takers = new Set<symbol>();
    for (const waiting of this.#waiting) {
      if (waiting.raw !== raw || takers.has(waiting.socket)) continue;
      takers.add(waiting.socket);
      waiting.found();
    }
    this.#received.push({ raw, atMs: nowMs, takers });
    while (
      this.#received.length > MAX_KEPT ||
      nowMs - (this.#received[0]?.atMs ?? nowMs) > KEEP_MS
    ) {
      this.#received.shift();
    }
  }

  /** Whether a frame of one of our sockets was for everybody. Of equal frames each counts. */
  async take(raw: string, socket: symbol): Promise<boolean> {
    const received = this.#received.find((frame) => frame.raw === raw && !frame.takers.has(socket));
    if (received !== undefined) {
      received.takers.add(socket);
      return true;
    }
    if (!this.isListening) return false;
    return await new Promise((resolve) => {
      const end = (isBroadcast: boolean): void => {
        clearTimeout(late);
        this.#waiting.delete(waiting);
        resolve(isBroadcast);
      };
      const waiting = {
        ...{ raw, socket },
        found: () => {
          end(true);
        },
      };
      const late = setTimeout(() => {
        end(false);
      }, APART_MS);
      this.#waiting.add(waiting);
    });
  }
}

/**
 * The masks of the jobs that a server works on. What it says to everybody names no job, and may repeat the keys of any
 * of them.
 */
class JobMasks {
  readonly #masks = new Set<SecretMask>();

  /** @returns what is to be called when the job is over */
  add(mask: SecretMask): () => void {
    if (mask === NO_MASK) return () => undefined;
    // A job may be given to the server twice.
    const own: SecretMask = { ...mask };
    this.#masks.add(own);
    return () => {
      startTimer(() => {
        this.#masks.delete(own);
      }, MASK_KEPT_MS).unref();
    };
  }

  /** The value without the secrets of these jobs. */
  hide<T>(value: T): T {
    let hidden = value;
    for (const mask of this.#masks) hidden = mask.value(hidden);
    return hidden;
  }
}
