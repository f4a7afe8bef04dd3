import { LuaScript, startTimer, type Clock, type Redis } from '@tiercel/runtime';
import { LEASE_MS, RENEW_MS } from '../lease.ts';

/** One prompt runs on a server and one waits there, so that its GPU never idles between two. */
const SLOTS_PER_SERVER = 2;

/**
 * Takes a place on the server with the least to do: held places count double, the penalty once. One
 * step, so that jobs that choose at the same moment do not all choose the same server.
 *
 * ARGV: prefix, lease, now ms, until ms, slots, then for each server: key, penalty
 * Returns: index of the server (from 1), or 0 when all places are taken
 */
const acquireScript = new LuaScript(`
local best, least = 0, nil
for i = 6, #ARGV, 2 do
  local key = ARGV[1] .. ':' .. ARGV[i]
  redis.call('ZREMRANGEBYSCORE', key, '-inf', ARGV[3])
  local held = redis.call('ZCARD', key)
  if redis.call('ZSCORE', key, ARGV[2]) then held = held - 1 end
  local rank = held * 2 + tonumber(ARGV[i + 1])
  if held < tonumber(ARGV[5]) and (not least or rank < least) then
    best, least = i, rank
  end
end
if best == 0 then return 0 end
local key = ARGV[1] .. ':' .. ARGV[best]
redis.call('ZADD', key, ARGV[4], ARGV[2])
redis.call('PEXPIRE', key, 60000)
return (best - 6) / 2 + 1
`);

export interface SlotWish {
  readonly url: string;
  /** Below 2: breaks ties, never sends a job to a server that has more to do. */
  readonly penalty: number;
}

/** A held place on a server. */
export interface Slot {
  /** Gives it back; further calls wait for the first. */
  release(): Promise<void>;
}

/** Places on servers, counted over all workers in Redis. */
export class ServerSlots {
  readonly #redis: Redis;
  readonly #prefix: string;
  readonly #clock: Clock;
  readonly #waiting = new Set<() => void>();

  constructor(redis: Redis, prefix: string, clock: Clock) {
    this.#redis = redis;
    this.#prefix = prefix;
    this.#clock = clock;
  }

  /** A place on the best of these servers; undefined when none has one left. */
  async acquire(
    wishes: readonly SlotWish[],
    lease: string,
  ): Promise<{ url: string; slot: Slot } | undefined> {
    const index = await this.#take(wishes, lease, SLOTS_PER_SERVER);
    const url = wishes[index - 1]?.url;
    return url === undefined ? undefined : { url, slot: this.#keep(url, lease) };
  }

  /** A place over the limit, to go on with a prompt that is on that server already. */
  async acquireOver(url: string, lease: string): Promise<Slot> {
    await this.#take([{ url, penalty: 0 }], lease, Number.MAX_SAFE_INTEGER);
    return this.#keep(url, lease);
  }

  /** Resolves when this process gives a place back, or after `maxMs`: of other processes nobody tells. */
  freed(maxMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = startTimer(wake, maxMs);
      this.#waiting.add(wake);
    });
  }

  #keep(url: string, lease: string): Slot {
    const renewal = setInterval(() => {
      this.#take([{ url, penalty: 0 }], lease, Number.MAX_SAFE_INTEGER).catch(() => undefined);
    }, RENEW_MS);
    const giveBack = async (): Promise<void> => {
      clearInterval(renewal);
      await this.#redis.zrem(`${this.#prefix}:${keyOf(url)}`, lease);
      for (const wake of [...this.#waiting]) wake();
    };
    let released: Promise<void> | undefined;
    return { release: () => (released ??= giveBack()) };
  }

  async #take(wishes: readonly SlotWish[], lease: string, limit: number): Promise<number> {
    const now = this.#clock.now();
    return (await acquireScript.run(this.#redis, this.#prefix, [
      ...[lease, now, now + LEASE_MS, limit],
      ...wishes.flatMap(({ url, penalty }) => [keyOf(url), penalty]),
    ])) as number;
  }
}

function keyOf(url: string): string {
  return `slots:${url}`;
}
