import { isFree, MICROS, type ClaimId, type JobId, type RedisNames } from '@tiercel/contracts';
import { startTimer, untilServed, type Redis } from '@tiercel/runtime';
import { AttemptStopped } from '../failures.ts';
import { AttemptAccount, type PricedTier } from './attempt-account.ts';
import type { Pictures } from './expect-pictures.ts';
import { reserveCostScript, type Ledger } from './lua/reserve-cost.ts';

/** What a tenant may spend, in the operator's currency. Undefined: no limit. */
export interface TenantBudget {
  readonly day?: number | undefined;
  readonly month?: number | undefined;
}

/** Why an attempt on a tier would overspend. */
export interface OverBudget {
  readonly reason: string;
  /** When to ask again: what is in the way is only reserved. Undefined: it is spent. */
  readonly retryInMs: number | undefined;
}

/** Reserved at least, and for an attempt on a tier of which nothing is known. */
const FIRST_MS = 1_000;
/** So long before its time is over an attempt asks for more. */
const LEAD_MS = 500;
/** So long before its time is over it is stopped when there is no more: stopping takes time, too. */
const STOP_MS = 100;
/** How soon to look again whether reservations were settled. */
const SETTLED_POLL_MS = 500;

/**
 * What the run of one job uses and costs, and whether its tenant can pay for a further attempt (docs/adr/0026).
 *
 * What is reserved is always the whole: what attempts have cost, and what those under way are to cost. An attempt at a
 * price per second is reserved for some time, and for more before that is over; where there is no more it is stopped.
 */
export class JobSpending {
  readonly #redis: Redis;
  readonly #names: RedisNames;
  readonly #run: { readonly jobId: JobId; readonly claimId: ClaimId };
  readonly #budget: () => TenantBudget;
  readonly #tierOf: (name: string) => PricedTier;
  readonly #onVoid: () => void;
  readonly #accounts: AttemptAccount[] = [];
  /** What is reserved is a sum over all attempts: one change after the other. */
  #lastChange: Promise<unknown> = Promise.resolve();

  constructor(parts: {
    redis: Redis;
    names: RedisNames;
    jobId: JobId;
    claimId: ClaimId;
    /** As it is now: administrators change it. */
    budget: () => TenantBudget;
    tierOf: (name: string) => PricedTier;
    /** Called when somebody else has the job. */
    onVoid: () => void;
  }) {
    this.#redis = parts.redis;
    this.#names = parts.names;
    this.#run = { jobId: parts.jobId, claimId: parts.claimId };
    this.#budget = parts.budget;
    this.#tierOf = parts.tierOf;
    this.#onVoid = parts.onVoid;
  }

  /**
   * Which of these tiers would overspend now, and why. Nothing is reserved.
   * @param expectMs how long an attempt on a tier takes; undefined when that is not known
   * @throws the signal's reason when it is aborted while Redis cannot serve; AttemptStopped when the claim is void
   */
  async findObstacles(
    tiers: readonly string[],
    expectMs: (tier: string) => number | undefined,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, OverBudget>> {
    const found = new Map<string, OverBudget>();
    const priced = tiers.filter((name) => !isFree(this.#tierOf(name).price));
    if (priced.length === 0 || !this.#hasBudget) return found;
    const ledger = await this.#reserve('', { signal });
    for (const name of priced) {
      const overrun = this.#overrun(this.#open(name, expectMs(name)), ledger);
      if (overrun !== undefined) found.set(name, describeOverrun(overrun));
    }
    return found;
  }

  /**
   * Reserves what an attempt is to cost.
   * @param isForced whatever the budget: the tier has the job already
   * @throws as findObstacles
   */
  async begin(
    tier: string,
    expectedMs: number | undefined,
    { signal, isForced = false }: { readonly signal: AbortSignal; readonly isForced?: boolean },
  ): Promise<AttemptAccount | OverBudget> {
    const account = this.#open(tier, expectedMs);
    const { price } = this.#tierOf(tier);
    const mustReserve = !isFree(price) && this.#hasBudget;
    return await this.#inTurn(async () => {
      if (mustReserve) {
        const total = this.#heldMicros() + account.heldMicros;
        const ledger = await this.#reserve(total, { signal, isForced });
        if (ledger.kind === 'not-reserved') return describeOverrun(this.#overrun(account, ledger));
      }
      this.#accounts.push(account);
      if (mustReserve && (price?.perSecond ?? 0) > 0) this.#meter(account, signal);
      return account;
    });
  }

  /**
   * What each attempt has used and cost.
   * @param shown the pictures that output nodes show, for a tier that does not count them
   */
  settle(shown: Pictures | undefined): readonly AttemptAccount['use'][] {
    for (const account of this.#accounts) {
      if (account.isUncounted && shown !== undefined) account.settle(shown);
    }
    return this.#accounts.map(({ use }) => use);
  }

  /** Whether `settle` needs to be told what output nodes show. */
  get isUncounted(): boolean {
    return this.#accounts.some((account) => account.isUncounted);
  }

  /** Whether it has begun something that costs money. */
  get isPaid(): boolean {
    return this.#accounts.some(({ tier }) => !isFree(this.#tierOf(tier).price));
  }

  get #hasBudget(): boolean {
    const { day, month } = this.#budget();
    return day !== undefined || month !== undefined;
  }

  #open(tier: string, expectedMs: number | undefined): AttemptAccount {
    return new AttemptAccount(tier, this.#tierOf(tier), Math.max(FIRST_MS, expectedMs ?? 0));
  }

  #heldMicros(): number {
    return this.#accounts.reduce((sum, { heldMicros }) => sum + heldMicros, 0);
  }

  async #reserve(
    amount: number | '',
    { signal, isForced = false }: { signal: AbortSignal; isForced?: boolean },
  ): Promise<Ledger & { readonly kind: 'reserved' | 'not-reserved' }> {
    const { day, month } = this.#budget();
    const values = {
      ...{ prefix: this.#names.prefix, id: this.#run.jobId, claim: this.#run.claimId, amount },
      ...{ day_budget: toMicros(day), month_budget: toMicros(month) },
      is_forced: isForced ? 1 : 0,
    };
    const reply = await untilServed(() => reserveCostScript.run(this.#redis, values), { signal });
    if (reply.kind !== 'void') return reply;
    this.#onVoid();
    throw new AttemptStopped({ nodeId: null, nodeType: null, executed: [] });
  }

  /** Undefined: the attempt fits. */
  #overrun(account: AttemptAccount, ledger: Ledger): Overrun | undefined {
    const costMicros = account.heldMicros;
    const { day, month } = this.#budget();
    for (const [period, budget, spentMicros] of [
      ['month', month, ledger.monthMicros],
      ['day', day, ledger.dayMicros],
    ] as const) {
      if (budget === undefined) continue;
      const leftMicros = Math.round(budget * MICROS) - spentMicros - this.#heldMicros();
      const freeMicros = leftMicros - ledger.reservedMicros;
      if (costMicros > freeMicros) return { period, budget, costMicros, leftMicros, freeMicros };
    }
    return undefined;
  }

  async #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const changed = this.#lastChange.then(change);
    this.#lastChange = changed.catch(() => undefined);
    return await changed;
  }

  /** Reserves more time before that of the attempt is over, and stops it when there is no more. */
  #meter(account: AttemptAccount, signal: AbortSignal): void {
    const startedAt = performance.now();
    const schedule = (): void => {
      const leadMs = Math.min(LEAD_MS, account.coveredMs / 4);
      at(account.coveredMs - leadMs, () => void extend());
    };
    const at = (ms: number, act: () => void): void => {
      const timer = startTimer(
        () => {
          if (!account.isOver && !signal.aborted) act();
        },
        Math.max(0, startedAt + ms - performance.now()),
      );
      timer.unref();
    };
    const extend = async (): Promise<void> => {
      const coveredMs = account.coveredMs + Math.max(FIRST_MS, account.coveredMs / 2);
      try {
        const isCovered = await this.#inTurn(async () => {
          const others = this.#heldMicros() - account.heldMicros;
          const total = others + account.estimateMicros(coveredMs);
          const { kind } = await this.#reserve(total, { signal });
          if (kind === 'reserved') account.cover(coveredMs);
          return kind === 'reserved';
        });
        if (isCovered) schedule();
        else {
          at(account.coveredMs - STOP_MS, () => {
            account.exhaust();
          });
        }
      } catch {
        // The run is being stopped, or its claim is void.
      }
    };
    schedule();
  }
}

interface Overrun {
  readonly period: 'day' | 'month';
  readonly budget: number;
  readonly costMicros: number;
  /** Of the budget, without what is spent. */
  readonly leftMicros: number;
  /** The same without what other jobs have reserved. */
  readonly freeMicros: number;
}

/** @param overrun undefined when a budget was changed meanwhile */
function describeOverrun(overrun: Overrun | undefined): OverBudget {
  if (overrun === undefined) return { reason: 'its cost is over the budget', retryInMs: 0 };
  const { period, budget, costMicros, leftMicros, freeMicros } = overrun;
  const [left, free] = [leftMicros, freeMicros].map((micros) => Math.max(0, micros) / MICROS);
  const price = `an attempt costs about ${costMicros / MICROS}`;
  const whole = `the budget of ${budget} a ${period}`;
  if (costMicros > leftMicros) {
    return { reason: `${price}, and ${left} of ${whole} are left`, retryInMs: undefined };
  }
  const reason = `${price}, and running jobs leave ${free} of ${whole}`;
  return { reason, retryInMs: SETTLED_POLL_MS };
}

function toMicros(amount: number | undefined): number | '' {
  return amount === undefined ? '' : Math.round(amount * MICROS);
}
