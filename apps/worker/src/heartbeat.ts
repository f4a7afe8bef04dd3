import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import {
  stringifyJson,
  type WorkerCapabilities,
  type ObjectInfo,
  type WorkerId,
} from '@tiercel/contracts';
import type { WorkerRegistry } from '@tiercel/events';
import { CoalescedRefresh, memoizeLast, type Clock, type Logger } from '@tiercel/runtime';
import type { TierCapabilities } from './describe-capabilities.ts';
import { describeProfile } from './describe-profile.ts';
import type { OwnPool } from './pool-rules.ts';

const HEARTBEAT_MS = 5_000;
/** Several API processes may ask for refreshes at once; each reads the answer within a moment. */
const REFRESH_IDS_SENT = 32;

/** Sends the API processes, every five seconds, what this worker can run. */
export class Heartbeat {
  readonly #registry: WorkerRegistry;
  readonly #workerId: WorkerId;
  readonly #readPool: () => OwnPool;
  readonly #concurrency: number;
  readonly #readCapabilities: () => Promise<TierCapabilities>;
  readonly #running: () => number;
  readonly #log: Logger;
  readonly #startedAt: number;
  readonly #sending = new CoalescedRefresh(() => this.#trySend());
  readonly #encode = memoizeLast(([objectInfo]: readonly ObjectInfo[]) => {
    const text = stringifyJson(objectInfo);
    return { text, hash: createHash('sha256').update(text).digest('hex') };
  });
  #timer: NodeJS.Timeout | undefined;
  #refreshIds: readonly string[] = [];
  #lastSent = '';
  #profileId = '';
  readonly #onProfileChange: () => void;

  constructor(dependencies: {
    registry: WorkerRegistry;
    workerId: WorkerId;
    /** The pool that the worker is in, as it is now. */
    readPool: () => OwnPool;
    concurrency: number;
    readCapabilities: () => Promise<TierCapabilities>;
    running: () => number;
    clock: Clock;
    log: Logger;
    /** The worker can run other jobs by now, and has said so. */
    onProfileChange?: () => void;
  }) {
    this.#registry = dependencies.registry;
    this.#workerId = dependencies.workerId;
    this.#readPool = dependencies.readPool;
    this.#onProfileChange = dependencies.onProfileChange ?? (() => undefined);
    this.#concurrency = dependencies.concurrency;
    this.#readCapabilities = dependencies.readCapabilities;
    this.#running = dependencies.running;
    this.#log = dependencies.log;
    this.#startedAt = dependencies.clock.now();
  }

  async start(): Promise<void> {
    await this.#send();
    this.#timer = setInterval(() => void this.#sending.run(), HEARTBEAT_MS);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    try {
      await this.#registry.withdraw(this.#workerId);
    } catch (error) {
      this.#log.debug({ err: error }, 'a stop could not be announced: the heartbeat runs out');
    }
  }

  /** Of what was sent last; '' before the first time. */
  get profileId(): string {
    return this.#profileId;
  }

  /** Something in it has changed: the API processes are sent it now, not at the next heartbeat. */
  sendNow(): void {
    // Before the start, and after the stop, there is nobody to correct.
    if (this.#timer !== undefined) void this.#sending.run();
  }

  /** A refresh that was asked for is done. */
  reportRefresh(id: string): void {
    this.#refreshIds = [...this.#refreshIds, id].slice(-REFRESH_IDS_SENT);
    this.sendNow();
  }

  async #trySend(): Promise<void> {
    await this.#send().catch((error: unknown) => {
      this.#log.warn({ err: error }, 'heartbeat failed');
    });
  }

  async #send(): Promise<void> {
    const { objectInfo, ...tierCapabilities } = await this.#readCapabilities();
    const { text, hash } = this.#encode([objectInfo]);
    // Asked at every heartbeat: a Redis that lost its data has it back within seconds.
    await this.#registry.putCatalogue(hash, text);
    const refreshIds = this.#refreshIds;
    const pool = this.#readPool();
    const profile = describeProfile({ ...tierCapabilities, objectInfo }, pool);
    const capabilities: WorkerCapabilities = {
      workerId: this.#workerId,
      host: hostname(),
      pid: process.pid,
      startedAt: this.#startedAt,
      concurrency: this.#concurrency,
      pool: pool.rules.name,
      running: this.#running(),
      catalogueHash: hash,
      ...tierCapabilities,
      looks: [...refreshIds],
    };
    const { models, embeddings, servers, features } = tierCapabilities;
    const news = JSON.stringify([
      hash,
      refreshIds,
      models,
      embeddings,
      servers,
      features,
      profile.id,
      profile.isDrained,
    ]);
    await this.#registry.heartbeat(capabilities, profile, news !== this.#lastSent);
    this.#lastSent = news;
    if (profile.id === this.#profileId) return;
    this.#profileId = profile.id;
    this.#onProfileChange();
  }
}
