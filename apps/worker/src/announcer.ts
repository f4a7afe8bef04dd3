import { createHash } from 'node:crypto';
import { freemem, hostname, totalmem } from 'node:os';
import {
  stringifyJson,
  type Announcement,
  type ObjectInfo,
  type WorkerId,
} from '@tiercel/contracts';
import type { AnnouncementBoard } from '@tiercel/events';
import type { Clock, Logger } from '@tiercel/runtime';

const HEARTBEAT_MS = 5_000;

export interface Offer {
  readonly objectInfo: ObjectInfo;
  readonly models: Readonly<Record<string, readonly string[]>>;
  readonly tiers: Announcement['tiers'];
}

/** Tells the API processes, at every heartbeat, what this worker can run. */
export class Announcer {
  readonly #board: AnnouncementBoard;
  readonly #workerId: WorkerId;
  readonly #concurrency: number;
  readonly #offer: Offer;
  readonly #catalogueText: string;
  readonly #catalogueHash: string;
  readonly #running: () => number;
  readonly #log: Logger;
  readonly #startedAt: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(dependencies: {
    board: AnnouncementBoard;
    workerId: WorkerId;
    concurrency: number;
    offer: Offer;
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
    this.#catalogueText = stringifyJson(dependencies.offer.objectInfo);
    this.#catalogueHash = createHash('sha256').update(this.#catalogueText).digest('hex');
  }

  async start(): Promise<void> {
    await this.#announce(true);
    this.#timer = setInterval(() => {
      this.#announce(false).catch((error: unknown) => {
        this.#log.warn({ err: error }, 'heartbeat failed');
      });
    }, HEARTBEAT_MS);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#board.withdraw(this.#workerId);
  }

  async #announce(ring: boolean): Promise<void> {
    // Written at every heartbeat: a Redis that lost its data has it back within seconds.
    await this.#board.putCatalogue(this.#catalogueHash, this.#catalogueText);
    await this.#board.announce(this.#describe(), ring);
  }

  #describe(): Announcement {
    const total = totalmem();
    const free = freemem();
    return {
      workerId: this.#workerId,
      host: hostname(),
      pid: process.pid,
      startedAt: this.#startedAt,
      concurrency: this.#concurrency,
      running: this.#running(),
      catalogueHash: this.#catalogueHash,
      models: Object.fromEntries(
        Object.entries(this.#offer.models).map(([folder, names]) => [folder, [...names]]),
      ),
      embeddings: [],
      // A CPU as ComfyUI shows it (transcript 17): system memory stands for video memory.
      devices: [
        {
          name: 'cpu',
          type: 'cpu',
          index: null,
          vram_total: total,
          vram_free: free,
          torch_vram_total: total,
          torch_vram_free: free,
        },
      ],
      tiers: this.#offer.tiers,
    };
  }
}
