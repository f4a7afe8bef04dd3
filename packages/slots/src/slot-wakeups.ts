import type { Redis } from '@tiercel/runtime';

/** One that waits in this process. */
export interface Sleeper {
  /** When it came, in microseconds by Redis' clock; empty before Redis said so. */
  readonly came: string;
  waitsFor(resource: string): boolean;
  wake(): void;
}

const byConnection = new WeakMap<Redis, Map<string, SlotWakeups>>();

/**
 * The messages about slots that may be free, as a process receives them. Of those that wait here for a resource the first is woken: it
 * takes the slot, or the next is woken by what it leaves behind. The connection is opened when somebody has to
 * wait for the first time, and ends with the one for commands.
 */
export class SlotWakeups {
  readonly #redis: Redis;
  readonly #channel: string;
  readonly #sleepers = new Set<Sleeper>();
  #subscriber: Redis | undefined;

  private constructor(redis: Redis, channel: string) {
    this.#redis = redis;
    this.#channel = channel;
  }

  /** The same for all that use a connection: a process has one subscription. */
  static of(redis: Redis, channel: string): SlotWakeups {
    const channels = byConnection.get(redis) ?? new Map<string, SlotWakeups>();
    byConnection.set(redis, channels);
    const wakeups = channels.get(channel) ?? new SlotWakeups(redis, channel);
    channels.set(channel, wakeups);
    return wakeups;
  }

  add(sleeper: Sleeper): void {
    this.#sleepers.add(sleeper);
  }

  delete(sleeper: Sleeper): void {
    this.#sleepers.delete(sleeper);
  }

  wake(resource: string): void {
    let first: Sleeper | undefined;
    for (const sleeper of this.#sleepers) {
      if (sleeper.waitsFor(resource) && (first === undefined || isBefore(sleeper, first))) {
        first = sleeper;
      }
    }
    first?.wake();
  }

  /** Begins to listen, if it does not yet. Once it is subscribed, and after each gap, everybody asks once. */
  listen(): void {
    if (this.#subscriber !== undefined || this.#redis.status === 'end') return;
    const subscriber = this.#redis.duplicate({
      enableOfflineQueue: true,
      maxRetriesPerRequest: null,
      autoResubscribe: false,
    });
    this.#subscriber = subscriber;
    // An outage is logged by the connection for commands.
    subscriber.on('error', () => undefined);
    subscriber.on('message', (_channel: string, resource: string) => {
      this.wake(resource);
    });
    subscriber.on('ready', () => {
      subscriber.subscribe(this.#channel).then(
        () => {
          for (const sleeper of [...this.#sleepers]) sleeper.wake();
        },
        // The connection broke: the next one subscribes.
        () => undefined,
      );
    });
    this.#redis.once('end', () => {
      subscriber.disconnect();
    });
  }
}

function isBefore(a: Sleeper, b: Sleeper): boolean {
  if (a.came === '' || b.came === '') return b.came === '' && a.came !== '';
  return Number(a.came) < Number(b.came);
}
