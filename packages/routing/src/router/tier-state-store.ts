import type { RedisNames } from '@tiercel/contracts';
import { type Clock, type Redis, untilServed } from '@tiercel/runtime';
import { keepLease, LEASE_MS, NoSlot, SlotWaiter, WAIT_MS } from '@tiercel/slots';
import {
  beginAttemptScript,
  type BeginReply,
  ENTER_ANYHOW,
  NO_LIMIT,
} from './lua/begin-attempt.ts';
import { endAttemptScript } from './lua/end-attempt.ts';
import { readTiersScript, type TierRow } from './lua/read-tiers.ts';
import type { BreakerPolicy, BreakerSignal } from './breaker-signal.ts';

/** A tier as the store knows it. */
export interface TierState {
  /** Epoch ms by this process's clock; 0 when the breaker is closed. */
  readonly openUntilMs: number;
  readonly probing: boolean;
  readonly reason: string;
  readonly running: number;
  readonly waiting: number;
  /** Durations of recent successful attempts in ms, newest first. */
  readonly recentMs: readonly number[];
}

/** A begun attempt: it holds a slot, and perhaps the breaker's probe, until it ends. */
export interface BegunAttempt {
  end(breakerSignal: BreakerSignal): Promise<void>;
}

/** A tier to get a slot of. */
export interface TierWish {
  readonly tier: string;
  /** Undefined for no limit. */
  readonly concurrency: number | undefined;
  /** Tiers that would do as well, and are as full. */
  readonly others: readonly string[];
}

/** A tier has no slot left for who asked. */
export class FullTier extends NoSlot {
  /** Those that wait there before it. */
  readonly ahead: number;

  constructor(askInMs: number, ahead: number) {
    super(askInMs);
    this.ahead = ahead;
  }
}

/** Successful attempts whose durations are kept. */
const SAMPLES = 64;
/** What was read is used for this long: `begin` checks again, so it can only cost a detour. */
const FRESH_MS = 200;
/** State of a tier that nobody uses goes after a day. */
const IDLE_MS = 86_400_000;

/**
 * The state of all tiers, shared by all workers through Redis: what one learns serves all. Redis' clock rules:
 * durations go there and come back, and only here become times of this process's clock.
 */
export class TierStateStore {
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

  /**
   * States at most 200 ms old. With a signal it waits while Redis cannot serve.
   * @throws the signal's reason when it is aborted meanwhile
   */
  async read(
    tiers: readonly string[],
    signal?: AbortSignal,
  ): Promise<ReadonlyMap<string, TierState>> {
    const now = this.#clock.now();
    const key = tiers.join(' ');
    if (this.#read?.tiers === key && now - this.#read.atMs < FRESH_MS) return this.#read.states;
    const { prefix } = this.#names;
    const ask = (): Promise<readonly TierRow[]> =>
      readTiersScript.run(this.#redis, { prefix, tiers });
    const rows = signal === undefined ? await ask() : await untilServed(ask, { signal });
    const readAt = this.#clock.now();
    const states = new Map<string, TierState>();
    for (const [index, name] of tiers.entries()) {
      const row = rows[index];
      if (row === undefined) continue;
      const { openForMs, ...state } = row;
      states.set(name, { ...state, openUntilMs: openForMs === undefined ? 0 : readAt + openForMs });
    }
    this.#read = { atMs: now, tiers: key, states };
    return states;
  }

  /** What is read next is new: something was learnt that the last reading did not know. */
  forget(): void {
    this.#read = undefined;
  }

  /**
   * Takes a slot of a tier if one is left for somebody who does not wait, one step for all workers. `over` enters
   * in any case: the tier has the job already.
   * @throws the signal's reason when it is aborted while Redis cannot serve
   */
  async begin(
    tier: string,
    lease: string,
    concurrency: number | 'over' | undefined,
    signal: AbortSignal,
  ): Promise<BegunAttempt | 'open' | 'full'> {
    const limit = concurrency === 'over' ? ENTER_ANYHOW : (concurrency ?? NO_LIMIT);
    const values = { lease, limit, said: '', wait_ms: 0, others: [] };
    const { answer } = await this.#begin(tier, values, signal);
    return answer === 'open' || answer === 'full' ? answer : this.#keep(tier, lease, answer);
  }

  /** One that is to wait for slots of tiers. */
  createWaiter(): SlotWaiter {
    return new SlotWaiter(this.#redis, this.#names);
  }

  /**
   * As `begin`, when it is the waiter's turn. Otherwise it stands in the line of this tier, and counts as waiting
   * for it, and in those of `others` that would do as well.
   * @throws the signal's reason when it is aborted while Redis cannot serve
   */
  async beginInTurn(
    waiter: SlotWaiter,
    { tier, concurrency = NO_LIMIT, others }: TierWish,
    signal: AbortSignal,
  ): Promise<BegunAttempt | 'open' | FullTier> {
    const isLimited = concurrency !== NO_LIMIT;
    const tiers = isLimited ? [tier, ...others] : [];
    waiter.standAt(tiers.map((name) => this.#names.tierRunning(name)));
    const { lease, came: said } = waiter;
    const values = { lease, limit: concurrency, said, wait_ms: WAIT_MS, others };
    const { answer, came, askInMs, ahead } = await this.#begin(tier, values, signal);
    waiter.came = came;
    if (answer === 'full') return new FullTier(askInMs, ahead);
    waiter.settle();
    return answer === 'open' ? answer : this.#keep(tier, lease, answer);
  }

  /** Counts no longer as waiting for a tier. */
  async stopCounting(tier: string, { lease }: SlotWaiter): Promise<void> {
    await this.#redis.zrem(this.#names.tierWaiting(tier), lease);
  }

  /** Neither counts as waiting for a tier any more nor stands in any line. */
  async leave(tier: string, waiter: SlotWaiter): Promise<void> {
    await Promise.all([this.stopCounting(tier, waiter), waiter.leave()]);
  }

  async #begin(
    tier: string,
    values: {
      readonly lease: string;
      readonly limit: number;
      readonly said: string;
      readonly wait_ms: number;
      readonly others: readonly string[];
    },
    signal: AbortSignal,
  ): Promise<BeginReply> {
    const { prefix } = this.#names;
    const all = { prefix, tier, lease_ms: LEASE_MS, ...values };
    return await untilServed(() => beginAttemptScript.run(this.#redis, all), { signal });
  }

  #keep(tier: string, lease: string, answer: 'ok' | 'probe'): BegunAttempt {
    const stop = keepLease(this.#redis, this.#names.tierRunning(tier), lease);
    return {
      end: async (breakerSignal) => {
        stop();
        const isNews =
          answer === 'probe' || breakerSignal.kind === 'count' || breakerSignal.kind === 'open';
        // Commands keep their order: who reads from now on reads what this leaves behind.
        if (isNews) this.forget();
        await this.#end(tier, lease, breakerSignal);
        // A reading that was under way is of before.
        if (isNews) this.forget();
      },
    };
  }

  async #end(tier: string, lease: string, breakerSignal: BreakerSignal): Promise<void> {
    const { failures, openMs, maxOpenMs } = this.#breaker;
    await endAttemptScript.run(this.#redis, {
      prefix: this.#names.prefix,
      ...{ tier, lease, signal: breakerSignal.kind },
      took_ms: breakerSignal.kind === 'good' ? breakerSignal.ms : '',
      open_ms:
        breakerSignal.kind === 'open' ? Math.max(0, breakerSignal.untilMs - this.#clock.now()) : '',
      reason: 'reason' in breakerSignal ? breakerSignal.reason : '',
      ...{ failures, first_pause_ms: openMs, longest_pause_ms: maxOpenMs },
      ...{ samples: SAMPLES, idle_ms: IDLE_MS },
    });
  }
}
