import type { AttemptRequest } from '../backend.ts';
import type { TierFacts } from './choose-tiers.ts';
import type { JobSpending } from '../spending/job-spending.ts';
import { expectSpending, p50 } from './latency.ts';
import type { TierState } from './tier-state-store.ts';
import type { RouterParts } from './router-parts.ts';
import type { TierSlot } from './tier-slot.ts';

const IDLE: TierState = {
  openUntilMs: 0,
  probing: false,
  reason: '',
  running: 0,
  waiting: 0,
  recentMs: [],
};

/** How soon to ask again whether an administrator has opened a tier again. */
const CLOSED_POLL_MS = 500;

function toPause(reason: string, nowMs: number): TierFacts['breaker'] {
  return { openUntilMs: nowMs + CLOSED_POLL_MS, probing: false, reason };
}

/** What is known of every tier for one job, in the order of preference. */
export async function readTierFacts(
  { tiers, tierStates }: Pick<RouterParts, 'tiers' | 'tierStates'>,
  request: AttemptRequest,
  slot: TierSlot,
  {
    nowMs,
    signal,
    spending,
  }: {
    readonly nowMs: number;
    readonly signal: AbortSignal;
    readonly spending: JobSpending | undefined;
  },
): Promise<{ facts: TierFacts[]; states: ReadonlyMap<string, TierState> }> {
  const shared = tiers.filter(({ backend }) => backend.isLocal !== true);
  const names = shared.map(({ backend }) => backend.name);
  const states =
    names.length === 0 ? new Map<string, TierState>() : await tierStates.read(names, signal);
  const overBudget = await spending?.findObstacles(
    tiers.map(({ backend }) => backend.name),
    (name) => expectSpending(states.get(name)?.recentMs ?? []),
    signal,
  );
  const facts = tiers.map(({ backend, quality, concurrency, closed }): TierFacts => {
    const { name } = backend;
    const state = states.get(name) ?? IDLE;
    const isGone = closed !== undefined && !closed.isForNow;
    return {
      ...{ name, quality, concurrency },
      support: isGone
        ? { ok: false, reason: closed.reason }
        : request.allowedTiers?.includes(name) === false
          ? { ok: false, reason: 'the plan does not allow it' }
          : backend.supports(request),
      breaker: closed?.isForNow === true ? toPause(closed.reason, nowMs) : state,
      running: state.running,
      // Neither the job itself nor those that came after it are waited for.
      waiting: slot.countAhead(name, state.waiting),
      p50Ms: p50(state.recentMs),
      overBudget: overBudget?.get(name),
    };
  });
  return { facts, states };
}
