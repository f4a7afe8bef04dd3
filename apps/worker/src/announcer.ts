import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { stringifyJson, type Announcement, type WorkerId } from '@tiercel/contracts';
import type { AnnouncementBoard } from '@tiercel/events';
import type { Clock, Logger } from '@tiercel/runtime';
import type { Offer } from './describe-offer.ts';

const HEARTBEAT_MS = 5_000;

/** Tells the API processes, at every heartbeat, what this worker can run. */
export class Announcer {
  readonly #board: AnnouncementBoard;
  readonly #workerId: WorkerId;
  readonly #concurrency: number;
  readonly #offer: () => Promise<Offer>;
  readonly #running: () => number;
  readonly #log: Logger;
  readonly #startedAt: number;
  #timer: NodeJS.Timeout | undefined;
  #lastHash = '';

  constructor(dependencies: {
    board: AnnouncementBoard;
    workerId: WorkerId;
    concurrency: number;
    offer: () => Promise<Offer>;
    running: () => number;
    clock: Clock;
    log: Logger;
  }) {
    this.#board = dependencies.board;
    this.#workerId = dependencies.workerId;
    this.#concurrency = dependencies.concurrency;
    this.#offer = dependencies.offer;
    this.#running = dependencies.running;
    this.#log = dependencies.log;
    this.#startedAt = dependencies.clock.now();
  }

  async start(): Promise<void> {
    await this.#announce();
    this.#timer = setInterval(() => {
      this.#announce().catch((error: unknown) => {
        this.#log.warn({ err: error }, 'heartbeat failed');
      });
    }, HEARTBEAT_MS);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#board.withdraw(this.#workerId);
  }

  async #announce(): Promise<void> {
    const { objectInfo, ...offer } = await this.#offer();
    const text = stringifyJson(objectInfo);
    const catalogueHash = createHash('sha256').update(text).digest('hex');
    // Asked at every heartbeat: a Redis that lost its data has it back within seconds.
    await this.#board.putCatalogue(catalogueHash, text);
    const announcement: Announcement = {
      workerId: this.#workerId,
      host: hostname(),
      pid: process.pid,
      startedAt: this.#startedAt,
      concurrency: this.#concurrency,
      running: this.#running(),
      catalogueHash,
      ...offer,
    };
    const isNew = catalogueHash !== this.#lastHash;
    await this.#board.announce(announcement, isNew);
    this.#lastHash = catalogueHash;
  }
}
