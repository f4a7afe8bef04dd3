import type { RedisNames } from '@tiercel/contracts';
import type { Redis } from '@tiercel/runtime';
import { beatScript } from './lua/beat.ts';
import { NO_END } from './replay.ts';

const EVERY_MS = 1_000;
/** Pulses in a row that were published and not received until the subscription counts as dead. */
const MAX_MISSED = 3;

export interface PulseOptions {
  readonly redis: Redis;
  readonly names: RedisNames;
  readonly processId: string;
  /** Whether the subscription is thought to be whole now. */
  readonly isListening: () => boolean;
  /** Received: whatever was published before this end was, too. */
  readonly onEndId: (endId: string) => void;
  /** Redis takes what is published, and it does not come back. */
  readonly onSilence: () => void;
}

/**
 * A process sends itself something once a second, by its commands' connection, and listens for it. So it
 * learns that the subscription is dead although its connection is not (a cut that nobody reports, a
 * failover that moved only one of the two), and, as Redis keeps the order of one connection, up to which
 * end of a job it has received everything.
 */
export class Pulse {
  readonly channel: string;
  readonly #options: PulseOptions;
  #timer: NodeJS.Timeout | undefined;
  #count = 0;
  #received = 0;
  /** Published pulses since the last one that was received. Counted, not timed: a busy process is late with both. */
  #missed = 0;

  constructor(options: PulseOptions) {
    this.#options = options;
    this.channel = options.names.pulseChannel(options.processId);
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.#beat();
    }, EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  receive(text: string): void {
    const [count = '', endId = NO_END] = text.split(' ');
    this.#received = Number(count);
    this.#missed = 0;
    this.#options.onEndId(endId);
  }

  #beat(): void {
    const { redis, names, processId, isListening, onSilence } = this.#options;
    if (!isListening()) {
      this.#missed = 0;
      return;
    }
    if (this.#missed >= MAX_MISSED) {
      this.#missed = 0;
      onSilence();
      return;
    }
    this.#count += 1;
    const count = this.#count;
    beatScript.run(redis, { prefix: names.prefix, process: processId, count }).then(
      (receivers) => {
        if (this.#received >= count) return;
        // Not even on its way: most likely lost at once, and late only where two connections lead to two servers.
        this.#missed += receivers === 0 ? 2 : 1;
      },
      () => undefined, // Redis is away; the subscriber connection will notice for itself
    );
  }
}
