import type { RedisNames } from '@tiercel/contracts';
import { LuaScript, type Clock, type Redis } from '@tiercel/runtime';
import { keepLease, LEASE_MS } from '../lease.ts';
import type { BreakerPolicy, Verdict } from './verdict.ts';

/** A tier as the board knows it; times are epoch ms. */
export interface TierState {
  readonly openUntilMs: number;
  readonly probing: boolean;
  readonly reason: string;
  readonly running: number;
  readonly waiting: number;
  /** Durations of recent successful attempts in ms, newest first. */
  readonly recentMs: readonly number[];
}

/** A begun attempt: it holds a place, and perhaps the breaker's probe, until it ends. */
export interface BegunAttempt {
  end(verdict: Verdict): Promise<void>;
}

/** Successful attempts whose durations are kept. */
const SAMPLES = 64;
/** What was read is used for this long: `begin` checks again, so it can only cost a detour. */
const FRESH_MS = 200;
/** State of a tier that nobody uses goes after a day. */
const IDLE_MS = 86_400_000;

/**
 * Keys, for a tier: the hash TIER (failures, trips, open_until, reason, probe), the list TIER:ms, and the
 * sorted sets TIER:running and TIER:waiting of leases by expiry. A probe counts while its lease lives, so a
 * worker that dies while it probes gives the probe back by itself.
 */
const LIB = `
local prefix = ARGV[1]
local now = tonumber(ARGV[2])
local function live(key)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  return redis.call('ZCARD', key)
end
local function probing(tier)
  local probe = redis.call('HGET', tier, 'probe')
  return probe and redis.call('ZSCORE', tier .. ':running', probe) and true or false
end
`;

/** ARGV: prefix, now, key of each tier. Returns for each: open_until, probing, reason, running, waiting, ms list */
const readScript = new LuaScript(`${LIB}
local found = {}
for i = 3, #ARGV do
  local tier = prefix .. ':' .. ARGV[i]
  local running = live(tier .. ':running')
  local state = redis.call('HMGET', tier, 'open_until', 'reason')
  found[#found + 1] = {
    state[1] or '0', probing(tier) and 1 or 0, state[2] or '',
    running, live(tier .. ':waiting'), redis.call('LRANGE', tier .. ':ms', 0, -1),
  }
end
return found
`);

/** ARGV: prefix, now, tier key, lease, until, limit (0 for none, -1 to enter in any case). Returns ok, probe, open or full */
const beginScript = new LuaScript(`${LIB}
local tier, lease = prefix .. ':' .. ARGV[3], ARGV[4]
local limit = tonumber(ARGV[6])
local running = live(tier .. ':running')
local open_until = tonumber(redis.call('HGET', tier, 'open_until') or '0')
if limit >= 0 and (open_until > now or (open_until > 0 and probing(tier))) then return 'open' end
if limit > 0 and running >= limit then
  redis.call('ZADD', tier .. ':waiting', ARGV[5], lease)
  redis.call('PEXPIRE', tier .. ':waiting', 60000)
  return 'full'
end
local is_probe = open_until > 0 and not probing(tier)
if is_probe then redis.call('HSET', tier, 'probe', lease) end
redis.call('ZREM', tier .. ':waiting', lease)
redis.call('ZADD', tier .. ':running', ARGV[5], lease)
redis.call('PEXPIRE', tier .. ':running', 60000)
return is_probe and 'probe' or 'ok'
`);

/**
 * ARGV: prefix, now, tier key, lease, kind, ms | until | '', reason, failures that open, first pause,
 *       longest pause, samples kept, idle ms
 */
const endScript = new LuaScript(`${LIB}
local tier, lease, kind = prefix .. ':' .. ARGV[3], ARGV[4], ARGV[5]
redis.call('ZREM', tier .. ':running', lease)
local is_probe = redis.call('HGET', tier, 'probe') == lease
if is_probe then redis.call('HDEL', tier, 'probe') end
local open_until = tonumber(redis.call('HGET', tier, 'open_until') or '0')
if kind == 'good' then
  redis.call('LPUSH', tier .. ':ms', ARGV[6])
  redis.call('LTRIM', tier .. ':ms', 0, tonumber(ARGV[11]) - 1)
  redis.call('PEXPIRE', tier .. ':ms', ARGV[12])
  -- A success of an attempt that began before the breaker opened says nothing about now.
  if is_probe then
    redis.call('HDEL', tier, 'failures', 'trips', 'open_until', 'reason')
  elseif open_until == 0 then
    redis.call('HDEL', tier, 'failures')
  end
elseif kind == 'open' then
  if tonumber(ARGV[6]) > open_until then
    redis.call('HSET', tier, 'open_until', ARGV[6], 'reason', ARGV[7])
    redis.call('HDEL', tier, 'failures')
  end
elseif kind == 'count' and (is_probe or open_until == 0) then
  local failures = redis.call('HINCRBY', tier, 'failures', 1)
  if is_probe or failures >= tonumber(ARGV[8]) then
    local trips = redis.call('HINCRBY', tier, 'trips', 1)
    local pause = math.min(tonumber(ARGV[9]) * 2 ^ math.min(trips - 1, 20), tonumber(ARGV[10]))
    redis.call('HSET', tier, 'open_until', now + pause, 'reason', ARGV[7])
    redis.call('HDEL', tier, 'failures')
  end
end
redis.call('PEXPIRE', tier, ARGV[12])
`);

/** The state of all tiers, shared by all workers through Redis: what one learns serves all. */
export class TierBoard {
  readonly #redis: Redis;
  readonly #names: RedisNames;
  readonly #clock: Clock;
  readonly #breaker: BreakerPolicy;
  #read: { atMs: number; tiers: string; states: ReadonlyMap<string, TierState> } | undefined;

  constructor(dependencies: {
    redis: Redis;
    names: RedisNames;
    clock: Clock;
    breaker: BreakerPolicy;
  }) {
    this.#redis = dependencies.redis;
    this.#names = dependencies.names;
    this.#clock = dependencies.clock;
    this.#breaker = dependencies.breaker;
  }

  /** States at most 200 ms old. */
  async read(tiers: readonly string[]): Promise<ReadonlyMap<string, TierState>> {
    const now = this.#clock.now();
    const key = tiers.join(' ');
    if (this.#read?.tiers === key && now - this.#read.atMs < FRESH_MS) return this.#read.states;
    const rows = (await readScript.run(this.#redis, this.#names.prefix, [
      now,
      ...tiers.map(tierKey),
    ])) as [string, number, string, number, number, string[]][];
    const states = new Map<string, TierState>();
    for (const [index, name] of tiers.entries()) {
      const row = rows[index];
      if (row === undefined) continue;
      const [openUntil, probing, reason, running, waiting, samples] = row;
      states.set(name, {
        openUntilMs: Number(openUntil),
        probing: probing === 1,
        reason,
        running,
        waiting,
        recentMs: samples.map(Number),
      });
    }
    this.#read = { atMs: now, tiers: key, states };
    return states;
  }

  /** What is read next is new: something was learnt that the last reading did not know. */
  forget(): void {
    this.#read = undefined;
  }

  /**
   * Takes a place on a tier, one step for all workers. `full` notes that `lease` waits there; ask again
   * with the same lease, and `leave` when giving up. `over` enters in any case: the tier has the job already.
   */
  async begin(
    tier: string,
    lease: string,
    concurrency: number | 'over' | undefined,
  ): Promise<BegunAttempt | 'open' | 'full'> {
    const limit = concurrency === 'over' ? -1 : (concurrency ?? 0);
    const now = this.#clock.now();
    const answer = (await beginScript.run(this.#redis, this.#names.prefix, [
      ...[now, tierKey(tier), lease, now + LEASE_MS, limit],
    ])) as 'ok' | 'probe' | 'open' | 'full';
    if (answer === 'open' || answer === 'full') return answer;
    const key = `${this.#names.tier(tier)}:running`;
    const stop = keepLease(this.#redis, this.#clock, key, lease);
    return {
      end: async (verdict) => {
        stop();
        const isNews = answer === 'probe' || verdict.kind === 'count' || verdict.kind === 'open';
        // Commands keep their order: who reads from now on reads what this leaves behind.
        if (isNews) this.forget();
        await this.#end(tier, lease, verdict);
        // A reading that was under way is of before.
        if (isNews) this.forget();
      },
    };
  }

  /** Waits no longer for a place. */
  async leave(tier: string, lease: string): Promise<void> {
    await this.#redis.zrem(`${this.#names.tier(tier)}:waiting`, lease);
  }

  async #end(tier: string, lease: string, verdict: Verdict): Promise<void> {
    const { failures, openMs, maxOpenMs } = this.#breaker;
    const fact =
      verdict.kind === 'good' ? verdict.ms : verdict.kind === 'open' ? verdict.untilMs : '';
    const reason = 'reason' in verdict ? verdict.reason : '';
    await endScript.run(this.#redis, this.#names.prefix, [
      ...[this.#clock.now(), tierKey(tier), lease, verdict.kind, fact, reason],
      ...[failures, openMs, maxOpenMs, SAMPLES, IDLE_MS],
    ]);
  }
}

function tierKey(name: string): string {
  return `tier:${name}`;
}
