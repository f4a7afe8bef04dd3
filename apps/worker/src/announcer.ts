import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import {
  stringifyJson,
  type Announcement,
  type ObjectInfo,
  type WorkerId,
} from '@tiercel/contracts';
import type { AnnouncementBoard } from '@tiercel/events';
import { CoalescedRefresh, memoizeLast, type Clock, type Logger } from '@tiercel/runtime';
import type { Offer } from './describe-offer.ts';

const HEARTBEAT_MS = 5_000;
/** Several API processes may ask for looks at once; each reads the answer within a moment. */
const LOOKS_TOLD = 32;

/** Tells the API processes, at every heartbeat, what this worker can run. */
export class Announcer {
  readonly #board: AnnouncementBoard;
  readonly #workerId: WorkerId;
  readonly #concurrency: number;
  readonly #offer: () => Promise<Offer>;
  readonly #running: () => number;
  readonly #log: Logger;
  readonly #startedAt: number;
  readonly #sending = new CoalescedRefresh(() => this.#tryToAnnounce());
  readonly #encode = memoizeLast(([objectInfo]: readonly ObjectInfo[]) => {
    const text = stringifyJson(objectInfo);
    return { text, hash: createHash('sha256').update(text).digest('hex') };
  });
  #timer: NodeJS.Timeout | undefined;
  #refreshes: readonly string[] = [];
  #lastTold = '';

  constructor(dependencies: {
    tierStates: AnnouncementBoard;
    workerId: WorkerId;
    concurrency: number;
    offer: () => Promise<Offer>;
    running: () => number;
    clock: Clock;
    log: Logger;
  }) {
    this.#board = dependencies.tierStates;
    this.#workerId = dependencies.workerId;
    this.#concurrency = dependencies.concurrency;
    this.#offer = dependencies.offer;
    this.#running = dependencies.running;
    this.#log = dependencies.log;
    this.#startedAt = dependencies.clock.now();
  }

  async start(): Promise<void> {
    await this.#announce();
    this.#timer = setInterval(() => void this.#sending.run(), HEARTBEAT_MS);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#board.withdraw(this.#workerId);
  }

  /** Something that is announced has changed: the API processes are told now, not at the next heartbeat. */
  tellNow(): void {
    // Before the start, and after the stop, there is nobody to correct.
    if (this.#timer !== undefined) void this.#sending.run();
  }

  /** A look that was asked for has been had. */
  reportRefresh(id: string): void {
    this.#refreshes = [...this.#refreshes, id].slice(-LOOKS_TOLD);
    this.tellNow();
  }

  async #tryToAnnounce(): Promise<void> {
    await this.#announce().catch((error: unknown) => {
      this.#log.warn({ err: error }, 'heartbeat failed');
    });
  }

  async #announce(): Promise<void> {
    const { objectInfo, ...offer } = await this.#offer();
    const { text, hash } = this.#encode([objectInfo]);
    // Asked at every heartbeat: a Redis that lost its data has it back within seconds.
    await this.#board.putCatalogue(hash, text);
    const looks = this.#refreshes;
    const announcement: Announcement = {
      workerId: this.#workerId,
      host: hostname(),
      pid: process.pid,
      startedAt: this.#startedAt,
      concurrency: this.#concurrency,
      running: this.#running(),
      catalogueHash: hash,
      ...offer,
      serverRefresh: [...looks],
    };
    const { models, embeddings, servers, features } = offer;
    const told = JSON.stringify([hash, looks, models, embeddings, servers, features]);
    await this.#board.announce(announcement, told !== this.#lastTold);
    this.#lastTold = told;
  }
}
