import { deviceSchema, type Device, type JsonObject, type ObjectInfo } from '@tiercel/contracts';
import { FreshRuns, type Logger } from '@tiercel/runtime';
import { PAUSES_MS, type AttemptError } from '../failures.ts';
import type { ComfyClient } from './comfy-client.ts';
import type { ComfySocket } from './comfy-socket.ts';
import { HistoryDeletes } from './history-deletes.ts';
import type { InheritedSockets } from './inherited-sockets.ts';
import type { PromptRun } from './prompt-run.ts';

/** What a server can do, as it said last. */
export interface ServerAbilities {
  readonly objectInfo: ObjectInfo;
  readonly models: Readonly<Record<string, readonly string[]>>;
  readonly embeddings: readonly string[];
  readonly extensions: readonly string[];
  readonly devices: readonly Device[];
}

const PING_MS = 5_000;
const RETRY_MS = 1_000;
/** A catalogue is some megabytes: read when the server is new, and once in a while for added models. */
const CATALOGUE_MS = 120_000;
/** After a failure that names no time. */
const SUSPECT_MS = 10_000;
/** Names of pushed files remembered per server; forgetting one only sends it again. */
const MAX_PUSHED = 10_000;

/** One server of the pool as this worker sees it. */
export class PoolServer {
  readonly url: string;
  readonly client: ComfyClient;
  readonly #log: Logger;
  readonly #runs = new Map<string, PromptRun>();
  readonly #pushed = new Map<string, Promise<void>>();
  readonly #abandoned = new Set<string>();
  readonly #historyDeletes: HistoryDeletes;
  #socket: ComfySocket | undefined;
  #inherited: InheritedSockets | undefined;
  #abilities: ServerAbilities | undefined;
  #isHealthy = false;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;
  readonly #looks = new FreshRuns(() => this.#look());
  #cataloguedAt = 0;
  /** The server may have been restarted since its catalogue was read. */
  #mayBeAnother = true;
  /** The run that frames without a prompt id belong to: the last that this worker saw running there. */
  #current: PromptRun | undefined;
  #suspectUntilMs = 0;
  /** Models of the last prompt given to it. */
  lastModels = '';

  constructor(dependencies: { url: string; client: ComfyClient; log: Logger }) {
    this.url = dependencies.url;
    this.client = dependencies.client;
    this.#log = dependencies.log;
    this.#historyDeletes = new HistoryDeletes((ids) => this.client.deleteHistory(ids));
  }

  get isHealthy(): boolean {
    return this.#isHealthy && this.#abilities !== undefined;
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
    return this.#abilities;
  }

  start(socket: ComfySocket, inherited: InheritedSockets): void {
    this.#socket = socket;
    this.#inherited = inherited;
    void this.refresh();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#historyDeletes.flush();
    void this.#socket?.close();
    this.#inherited?.closeAll();
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

  onFrame(type: string, data: object): void {
    const { prompt_id: promptId } = data as { prompt_id?: unknown };
    if (typeof promptId === 'string') {
      const run = this.#runs.get(promptId);
      if (run === undefined) return;
      // What comes after its end without a prompt id is another's, maybe one of another worker's.
      this.#current = isEnd(type, data) ? undefined : run;
      run.onFrame(type, data);
      return;
    }
    // An extension's own message names no prompt: it is the running one's.
    if (type !== 'status' && type !== 'feature_flags') this.#current?.onFrame(type, data);
  }

  runOf(promptId: string | undefined): PromptRun | undefined {
    return promptId === undefined ? this.#current : this.#runs.get(promptId);
  }

  /** The socket is there (again): what was missed is looked up, and the server may be a new one. */
  onOpen(): void {
    this.#pushed.clear();
    this.#mayBeAnother = true;
    this.checkRuns();
    void this.refresh();
  }

  /** Frames may have been missed. */
  checkRuns(): void {
    for (const run of this.#runs.values()) run.onGap();
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

  /** Resolves when it has been asked once. */
  ready(): Promise<void> {
    return this.#looks.join();
  }

  async #readAbilities(): Promise<void> {
    const { client } = this;
    // Before it is asked: a restart while it answers counts.
    this.#mayBeAnother = false;
    const [objectInfo, models, embeddings, extensions, stats] = await Promise.all([
      client.objectInfo(),
      client.models(),
      client.embeddings(),
      client.extensions(),
      client.systemStats(),
    ]);
    this.#abilities = { objectInfo, models, embeddings, extensions, devices: devicesOf(stats) };
    this.#cataloguedAt = Date.now();
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
      const isOld = Date.now() - this.#cataloguedAt > CATALOGUE_MS;
      if (isOld || this.#mayBeAnother) await this.#readAbilities();
      await this.#stopAbandoned();
      this.#isHealthy = true;
      if (!wasHealthy) this.#log.info({ server: this.client.host }, 'server is up');
    } catch (error) {
      this.#isHealthy = false;
      this.#mayBeAnother = true;
      if (wasHealthy) this.#log.warn({ err: error, server: this.client.host }, 'server is down');
    }
    if (this.#isStopped) return;
    this.#timer = setTimeout(
      () => {
        void this.refresh();
      },
      this.#isHealthy ? PING_MS : RETRY_MS,
    );
  }
}

function isEnd(type: string, data: object): boolean {
  if (type === 'executing') return (data as { node?: unknown }).node === null;
  return /^execution_(success|error|interrupted)$/.test(type);
}

function devicesOf(stats: JsonObject): readonly Device[] {
  const parsed = deviceSchema.array().safeParse(stats.devices);
  return parsed.success ? parsed.data : [];
}
