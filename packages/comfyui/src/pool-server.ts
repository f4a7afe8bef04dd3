import {
  type Device,
  type JsonObject,
  mergeModelLists,
  type ObjectInfo,
  type RefreshScope,
  type WireEvent,
} from '@tiercel/contracts';
import { mergeObjectInfo } from '@tiercel/graph';
import { type AttemptError, PAUSES_MS } from '@tiercel/routing';
import {
  CoalescedRefresh,
  type Logger,
  memoizeLast,
  type Redis,
  startTimer,
} from '@tiercel/runtime';
import { type ComfyClient, createComfyClient } from './comfy-client.ts';
import { FrameRouter } from './frame-router.ts';
import { HistoryDeletes, type PromptServer } from './prompt-control.ts';
import { RelayLease } from './relay-lease.ts';
import { toPublicUrl } from './server-address.ts';
import { type ServerAbilities, ServerCatalogue } from './server-catalogue.ts';
import { ServerSockets } from './server-sockets.ts';

const REQUEST_TIMEOUT_MS = 15_000;
const PING_MS = 5_000;
const RETRY_MS = 1_000;
/** After a failure that names no time. */
const SUSPECT_MS = 10_000;
/** Names of pushed files remembered per server; forgetting one only sends it again. */
const MAX_PUSHED = 10_000;

interface PoolServerOptions {
  /** Unique per worker process: frames come to this client id, or to one that begins with it. */
  readonly clientId: string;
  readonly log: Logger;
  /** Of the installation. */
  readonly secretKey: Uint8Array;
  /** Called when what it offers, or whether it is up, has changed. */
  readonly onChange: () => void;
  /** Called when it may be given prompts, or others before it, that it was not a moment ago. */
  readonly onUsability: () => void;
  /** Called with what it says to everybody and what is no job's, in one of the workers that hear it. */
  readonly onMessage: (event: WireEvent) => void;
  readonly redis: Redis;
  readonly prefix: string;
}

/** One server of the pool as this worker sees it; connected for as long as it is in the pool. */
export class PoolServer implements PromptServer {
  /** What it is called: without the login that its address may hold (toPublicUrl). */
  readonly url: string;
  /** Where it is asked. Never written down. */
  readonly address: string;
  readonly client: ComfyClient;
  readonly frames: FrameRouter;
  readonly sockets: ServerSockets;
  readonly #log: Logger;
  readonly #onChange: () => void;
  readonly #onUsability: () => void;
  readonly #relay: RelayLease;
  readonly #pushed = new Map<string, Promise<void>>();
  readonly #abandoned = new Set<string>();
  readonly #historyDeletes: HistoryDeletes;
  readonly #catalogue: ServerCatalogue;
  #isHealthy = false;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;
  readonly #refreshes = new CoalescedRefresh(() => this.#check());
  #suspectUntilMs = 0;
  /** Models of the last prompt given to it. */
  lastModels = '';

  constructor(address: string, options: PoolServerOptions) {
    const { clientId, log, secretKey, onChange, onUsability, onMessage, redis, prefix } = options;
    this.address = address;
    this.url = toPublicUrl(address, secretKey);
    this.client = createComfyClient({ baseUrl: address, timeoutMs: REQUEST_TIMEOUT_MS });
    this.#log = log;
    this.#onChange = onChange;
    this.#onUsability = onUsability;
    this.#catalogue = new ServerCatalogue(this.client, log, onChange);
    this.#historyDeletes = new HistoryDeletes((ids) => this.client.deleteHistory(ids));
    this.#relay = new RelayLease(redis, prefix, this.url);
    this.frames = new FrameRouter((event) => {
      if (this.#relay.isMine) onMessage(event);
    });
    this.sockets = new ServerSockets({
      ...{ address, clientId, log },
      createListener: () => this.frames.listen(),
      onBroadcast: (message) => {
        this.frames.onBroadcast(message);
      },
      onBroadcastsReceived: (isReceived) => {
        this.frames.setReceivesBroadcasts(isReceived);
      },
      onOpen: () => {
        this.#onOpen();
      },
      onLost: () => {
        this.#onLost();
      },
      onGap: () => {
        this.frames.checkRuns();
      },
    });
    void this.#refresh();
  }

  get isHealthy(): boolean {
    return this.#isHealthy && this.abilities !== undefined;
  }

  /** An attempt has failed on it, and it was not shown since that it works: others are asked before it. */
  get isSuspect(): boolean {
    return Date.now() < this.#suspectUntilMs;
  }

  get abilities(): ServerAbilities | undefined {
    return this.#catalogue.abilities;
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#historyDeletes.flush();
    this.sockets.close();
    this.#relay.stop();
  }

  /** An ended prompt goes off its history, soon. */
  forget(upstreamId: string): void {
    this.#historyDeletes.add(upstreamId);
  }

  /** A prompt of ours that nobody waits for any more is stopped there, as soon as the server answers. */
  abandon(upstreamId: string): void {
    this.#abandoned.add(upstreamId);
    void this.#refresh();
  }

  /** An attempt failed on it. One that did not answer is skipped until it does. */
  noteFailure({ class: failureClass, retryAtMs }: AttemptError): void {
    const pauseMs = PAUSES_MS[failureClass] ?? SUSPECT_MS;
    this.#suspectUntilMs = Math.max(this.#suspectUntilMs, retryAtMs ?? Date.now() + pauseMs);
    if (failureClass === 'network' || failureClass === 'timeout') {
      this.#isHealthy = false;
      void this.#refresh();
    }
    this.#onUsability();
  }

  /** An attempt came to its end on it. */
  noteSuccess(): void {
    const { isSuspect } = this;
    this.#suspectUntilMs = 0;
    if (isSuspect) this.#onUsability();
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

  /** Reads what it offers again; see ServerCatalogue. */
  refresh(scope: RefreshScope): Promise<void> {
    return this.#catalogue.refresh(scope);
  }

  /** Resolves when it has been asked once. */
  ready(): Promise<void> {
    return this.#refreshes.join();
  }

  /** Its socket is there (again): what was missed is looked up, and the server may be a new one. */
  #onOpen(): void {
    this.#pushed.clear();
    this.#catalogue.doubt();
    this.frames.checkRuns();
    void this.#refresh();
  }

  #onLost(): void {
    this.#isHealthy = false;
    this.#onUsability();
    this.frames.checkRuns();
    void this.#refresh();
  }

  /** Resolves when the server has been asked from now on. */
  #refresh(): Promise<void> {
    return this.#refreshes.run();
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

  async #check(): Promise<void> {
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
        void this.#refresh();
      },
      this.#isHealthy ? PING_MS : RETRY_MS,
    );
  }
}

/** What the pool can run, for the worker's heartbeat. */
export interface PoolCapabilities {
  readonly objectInfo: ObjectInfo;
  readonly models: Readonly<Record<string, readonly string[]>>;
  readonly embeddings: readonly string[];
  readonly extensions: readonly string[];
  readonly devices: readonly (Device & { readonly server: string })[];
  readonly servers: readonly {
    readonly url: string;
    /** With the login, if it has one: to be sealed before it leaves the process. */
    readonly address: string;
    readonly healthy: boolean;
  }[];
  /** `system` of each server that is up, as it said last. */
  readonly systems: readonly JsonObject[];
  readonly features: readonly JsonObject[];
  readonly nodeReplacements: readonly JsonObject[];
}

/**
 * What a pool offers. Classes and models of a server that is away stay on offer: its jobs wait for it or for
 * another. The catalogue is merged anew only when that of a server has changed.
 */
export function createCapabilitiesDescriber(): (pool: readonly PoolServer[]) => PoolCapabilities {
  const merge = memoizeLast(mergeObjectInfo);
  return (pool) => {
    const known = pool.flatMap((server) =>
      server.abilities === undefined
        ? []
        : [{ url: server.url, isHealthy: server.isHealthy, ...server.abilities }],
    );
    const up = known.filter(({ isHealthy }) => isHealthy);
    return {
      objectInfo: merge(known.map(({ objectInfo }) => objectInfo)),
      models: mergeModelLists(known.map(({ models }) => models)),
      embeddings: union(known.map(({ embeddings }) => embeddings)),
      extensions: union(known.map(({ extensions }) => extensions)),
      devices: up.flatMap(({ url, devices }) =>
        devices.map((device) => ({ ...device, server: url })),
      ),
      servers: pool.map(({ url, address, isHealthy }) => ({ url, address, healthy: isHealthy })),
      systems: up.map(({ system }) => system),
      features: up.map(({ features }) => features),
      nodeReplacements: known.map(({ nodeReplacements }) => nodeReplacements),
    };
  };
}

function union(lists: readonly (readonly string[])[]): string[] {
  return [...new Set(lists.flat())].sort();
}
