import { randomUUID } from 'node:crypto';
import type { LookWish, WireEvent } from '@tiercel/contracts';
import { type AttemptError, PAUSES_MS } from '@tiercel/routing';
import { FreshRuns, type Logger, startTimer } from '@tiercel/runtime';
import type { ComfyClient } from './comfy-client.ts';
import type { ComfySocket } from './comfy-socket.ts';
import { HistoryDeletes } from './history-deletes.ts';
import type { InheritedSockets } from './inherited-sockets.ts';
import { JobMasks } from './job-masks.ts';
import { isBlockedBranch } from './prompt-ending.ts';
import type { PromptRun } from './prompt-run.ts';
import { ServerCatalogue, type ServerAbilities } from './server-catalogue.ts';
import { SharedFrames } from './shared-frames.ts';
import type { ComfyMessage } from './socket-frames.ts';

/** How extensions name the node that a message is about. */
const NODE_MEMBERS = ['node', 'node_id', 'nodeId', 'unique_id', 'display_node'];
/** ComfyUI's own messages: each is about a job, or is said to one socket alone. */
const CORE_MESSAGES: ReadonlySet<string> = new Set([
  ...['status', 'feature_flags', 'logs', 'executing', 'executed', 'progress', 'progress_state'],
  ...['execution_start', 'execution_cached', 'execution_success', 'execution_error'],
  'execution_interrupted',
]);

const PING_MS = 5_000;
const RETRY_MS = 1_000;
/** After a failure that names no time. */
const SUSPECT_MS = 10_000;
/** Names of pushed files remembered per server; forgetting one only sends it again. */
const MAX_PUSHED = 10_000;

/** One server of the pool as this worker sees it. */
export class PoolServer {
  /** What it is called: without the login that its address may hold (toPublicUrl). */
  readonly url: string;
  /** Where it is asked. Never written down. */
  readonly address: string;
  readonly client: ComfyClient;
  /** Of the prompts of ours that are on it. */
  readonly masks = new JobMasks();
  readonly #log: Logger;
  readonly #onChange: () => void;
  readonly #onMessage: (event: WireEvent) => void;
  readonly #shared = new SharedFrames();
  /** Whether a prompt runs or waits there, anybody's; as it said last. */
  #isBusy = false;
  readonly #runs = new Map<string, PromptRun>();
  readonly #pushed = new Map<string, Promise<void>>();
  readonly #abandoned = new Set<string>();
  readonly #historyDeletes: HistoryDeletes;
  readonly #baseClientId: string;
  #clientId: string;
  #connect: ((clientId: string) => ComfySocket) | undefined;
  #socket: ComfySocket | undefined;
  #retired: ComfySocket | undefined;
  #inherited: InheritedSockets | undefined;
  #onStop: (() => void) | undefined;
  readonly #catalogue: ServerCatalogue;
  #isHealthy = false;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;
  readonly #looks = new FreshRuns(() => this.#look());
  /** The run that frames without a prompt id belong to: the last that this worker saw running there. */
  #current: PromptRun | undefined;
  #suspectUntilMs = 0;
  /** Models of the last prompt given to it. */
  lastModels = '';

  constructor(dependencies: {
    url: string;
    address: string;
    client: ComfyClient;
    /** Of this worker alone. */
    clientId: string;
    log: Logger;
    /** Called when what it offers, or whether it is up, has changed. */
    onChange: () => void;
    /** Called with what it says to everybody and what is no job's. */
    onMessage: (event: WireEvent) => void;
  }) {
    this.url = dependencies.url;
    this.address = dependencies.address;
    this.#baseClientId = dependencies.clientId;
    this.#clientId = dependencies.clientId;
    this.client = dependencies.client;
    this.#log = dependencies.log;
    this.#onChange = dependencies.onChange;
    this.#onMessage = dependencies.onMessage;
    this.#catalogue = new ServerCatalogue(this.client, this.#log, this.#onChange);
    this.#historyDeletes = new HistoryDeletes((ids) => this.client.deleteHistory(ids));
  }

  get isHealthy(): boolean {
    return this.#isHealthy && this.abilities !== undefined;
  }

  /** An attempt has failed on it, and it was not shown since that it works: others are asked before it. */
  get isSuspect(): boolean {
    return Date.now() < this.#suspectUntilMs;
  }

  /** Whether prompts of ours are on it. */
  get isBusy(): boolean {
    return this.#runs.size > 0;
  }

  get abilities(): ServerAbilities | undefined {
    return this.#catalogue.abilities;
  }

  /** Where frames of prompts sent from now on come to. */
  get clientId(): string {
    return this.#clientId;
  }

  /**
   * @param connect opens the socket of this worker's own prompts
   * @param onStop called when it leaves the pool for good
   */
  start(
    connect: (clientId: string) => ComfySocket,
    inherited: InheritedSockets,
    onStop: () => void,
  ): void {
    this.#onStop = onStop;
    this.#connect = connect;
    this.#socket = connect(this.#clientId);
    this.#inherited = inherited;
    void this.refresh();
  }

  /**
   * Somebody else goes on with a prompt of this client id, or has done so, and listens under it: ComfyUI sends the
   * frames to the socket that came last, and to none when that one goes (WIRE.md 6.1). If the id is this worker's
   * own, it leaves it to them and takes another. A socket of an id that was left before that is closed.
   */
  leaveClientId(clientId: string | undefined): void {
    if (clientId !== this.#clientId || this.#isStopped) return;
    void this.#retired?.close();
    this.#retired = this.#socket;
    this.#retired?.retire();
    this.#clientId = `${this.#baseClientId}-${randomUUID()}`;
    this.#socket = this.#connect?.(this.#clientId);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#historyDeletes.flush();
    void this.#socket?.close();
    void this.#retired?.close();
    this.#inherited?.closeAll();
    this.#onStop?.();
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

  /**
   * A text frame of one of our sockets.
   * @param ear names the socket
   */
  onFrame({ type, data, raw }: ComfyMessage, ear: symbol): void {
    if (typeof data !== 'object' || data === null) return;
    if (type === 'status') this.#isBusy = readRemaining(data) !== 0;
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
    const isShared = this.#shared.take(raw, ear);
    const isOurs = this.#isOfJob(data) ? Promise.resolve(true) : isShared.then((shared) => !shared);
    this.#current?.onFrame(type, data, isOurs);
  }

  /** A text frame that the server sent to everybody: what is no job's goes to all of our clients too. */
  onShared({ type, data, raw }: ComfyMessage): void {
    if (typeof data !== 'object' || data === null || CORE_MESSAGES.has(type)) return;
    if (typeof (data as { prompt_id?: unknown }).prompt_id === 'string') return; // its client's
    this.#shared.note(raw);
    if (!this.#isOfJob(data)) this.#onMessage(this.masks.hide({ type, data }));
  }

  /** Whether a message without a prompt id is about a node that runs now. */
  #isOfJob(data: object): boolean {
    return this.#isBusy && NODE_MEMBERS.some((name) => name in data);
  }

  /** Whether the second socket hears what is sent to everybody. */
  setListening(isListening: boolean): void {
    this.#shared.isListening = isListening;
  }

  runOf(promptId: string | undefined): PromptRun | undefined {
    return promptId === undefined ? this.#current : this.#runs.get(promptId);
  }

  /** The socket is there (again): what was missed is looked up, and the server may be a new one. */
  onOpen(): void {
    this.#pushed.clear();
    this.#catalogue.doubt();
    this.checkRuns();
    void this.refresh();
  }

  /** Frames may have been missed. */
  checkRuns(): void {
    for (const run of this.#runs.values()) run.onGap();
  }

  /** A frame could not be read: which prompt's it was, nobody knows. */
  onGarbage(): void {
    for (const run of this.#runs.values()) run.onGarbage();
  }

  /** An ended prompt goes off its history, soon. */
  forget(upstreamId: string): void {
    this.#historyDeletes.add(upstreamId);
  }

  /** A prompt of ours that nobody waits for any more is stopped there, as soon as the server answers. */
  abandon(upstreamId: string): void {
    this.#abandoned.add(upstreamId);
    void this.refresh();
  }

  renewSocket(): void {
    this.#socket?.renew();
  }

  /** Hears what prompts of another client id tell, until what is returned is called. */
  listenAs(clientId: string): () => void {
    return this.#inherited?.hold(clientId) ?? (() => undefined);
  }

  renewInherited(clientId: string): void {
    this.#inherited?.renew(clientId);
  }

  onGap(): void {
    this.#isHealthy = false;
    this.checkRuns();
    void this.refresh();
  }

  /** An attempt failed on it. One that did not answer is skipped until it does. */
  noteFailure({ class: failureClass, retryAtMs }: AttemptError): void {
    const pauseMs = PAUSES_MS[failureClass] ?? SUSPECT_MS;
    this.#suspectUntilMs = Math.max(this.#suspectUntilMs, retryAtMs ?? Date.now() + pauseMs);
    if (failureClass !== 'network' && failureClass !== 'timeout') return;
    this.#isHealthy = false;
    void this.refresh();
  }

  /** An attempt came to its end on it. */
  noteSuccess(): void {
    this.#suspectUntilMs = 0;
  }

  /** Sends a file once; a failed transfer is tried again by the next that needs it. */
  pushOnce(name: string, push: () => Promise<void>): Promise<void> {
    const known = this.#pushed.get(name);
    if (known !== undefined) return known;
    if (this.#pushed.size >= MAX_PUSHED) this.#pushed.clear();
    const sent = push();
    this.#pushed.set(name, sent);
    sent.catch(() => this.#pushed.delete(name));
    return sent;
  }

  /** Resolves when the server has been asked from now on. */
  refresh(): Promise<void> {
    return this.#looks.run();
  }

  /** Looks at what it offers again; see ServerCatalogue. */
  look(wish: LookWish): Promise<void> {
    return this.#catalogue.look(wish);
  }

  /** Resolves when it has been asked once. */
  ready(): Promise<void> {
    return this.#looks.join();
  }

  async #stopAbandoned(): Promise<void> {
    const { client } = this;
    for (const id of this.#abandoned) {
      // Both: it may be on its way from waiting to running.
      await client.deletePending(id);
      await client.interrupt(id);
      await client.deleteHistory([id]);
      this.#abandoned.delete(id);
    }
  }

  async #look(): Promise<void> {
    clearTimeout(this.#timer);
    const wasHealthy = this.#isHealthy;
    try {
      await this.client.ping();
      if (this.#catalogue.isStale) await this.#catalogue.read();
      await this.#stopAbandoned();
      this.#isHealthy = true;
      if (!wasHealthy) this.#log.info({ server: this.client.host }, 'server is up');
    } catch (error) {
      this.#isHealthy = false;
      this.#catalogue.doubt();
      if (wasHealthy) this.#log.warn({ err: error, server: this.client.host }, 'server is down');
    }
    if (this.#isStopped) return;
    if (wasHealthy !== this.#isHealthy) this.#onChange();
    this.#timer = startTimer(
      () => {
        void this.refresh();
      },
      this.#isHealthy ? PING_MS : RETRY_MS,
    );
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
