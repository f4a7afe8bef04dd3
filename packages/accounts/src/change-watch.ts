import type { RedisNames } from '@tiercel/contracts';
import { CoalescedRefresh, startInterval, type Logger, type Redis } from '@tiercel/runtime';
import { readVersionsScript } from './lua/read-versions.ts';

export type Topic = 'keys' | 'policy';

export interface ChangeWatchParts {
  /** For commands. */
  readonly redis: Redis;
  /** For subscriptions: shared with others, and it need not subscribe again by itself. */
  readonly subscriberConnection: Redis;
  readonly names: RedisNames;
  readonly log: Logger;
}

const LOOK_EVERY_MS = 500;
/** What was known longer ago than this may have changed without a message. */
const CURRENT_MS = 1_000;

/**
 * Tells when keys or policies have changed, on whatever process: at once by a message, and within a second by looking
 * at their versions when that is lost. It also knows Redis' clock, the only one that all machines share.
 */
export class ChangeWatch {
  readonly #parts: ChangeWatchParts;
  readonly #listeners: Record<Topic, Set<() => void>> = { keys: new Set(), policy: new Set() };
  readonly #look: CoalescedRefresh;
  readonly #versions: Record<Topic, string | undefined> = { keys: undefined, policy: undefined };
  #lookedAtMs = -Infinity;
  #clockAheadMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: ChangeWatchParts) {
    this.#parts = parts;
    this.#look = new CoalescedRefresh(() => this.#readVersions());
  }

  /** Resolves when it has looked for the first time. */
  async start(): Promise<void> {
    const { subscriberConnection, names, log } = this.#parts;
    subscriberConnection.on('message', (channel) => {
      if (channel === names.accountsChannel) void this.#look.run();
    });
    const subscribe = (): void => {
      subscriberConnection.subscribe(names.accountsChannel).catch((error: unknown) => {
        // Looking still finds every change.
        log.debug({ err: error }, 'the channel of keys and policies could not be subscribed to');
      });
    };
    subscriberConnection.on('ready', subscribe);
    if (subscriberConnection.status === 'ready') subscribe();
    this.#timer = startInterval(() => {
      void this.#look.join();
    }, LOOK_EVERY_MS);
    await this.#look.run();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Whether nothing can have changed more than a second ago without having been told of. */
  get isCurrent(): boolean {
    return performance.now() - this.#lookedAtMs <= CURRENT_MS;
  }

  /** Redis' clock, in ms. */
  nowMs(): number {
    return Date.now() + this.#clockAheadMs;
  }

  /**
   * @param listener called after each change, and whenever one may have gone unnoticed
   * @returns how to stop listening
   */
  onChange(topic: Topic, listener: () => void): () => void {
    this.#listeners[topic].add(listener);
    return () => {
      this.#listeners[topic].delete(listener);
    };
  }

  async #readVersions(): Promise<void> {
    const { redis, names, log } = this.#parts;
    const beganAtMs = performance.now();
    try {
      const { nowMs, ...versions } = await readVersionsScript.run(redis, { prefix: names.prefix });
      this.#lookedAtMs = beganAtMs;
      this.#clockAheadMs = nowMs - Date.now();
      for (const topic of ['keys', 'policy'] as const) {
        const hasChanged = this.#versions[topic] !== versions[topic];
        this.#versions[topic] = versions[topic];
        if (hasChanged) for (const listener of [...this.#listeners[topic]]) listener();
      }
    } catch (error) {
      log.debug({ err: error }, 'the versions of keys and policies could not be read');
    }
  }
}
