import type { AttemptRequest } from '../backend.ts';
import type { TierFacts } from './choose-tiers.ts';
import { p50 } from './latency.ts';
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

/** What is known of every tier for one job, in the order of preference. */
export async function readTierFacts(
  { tiers, tierStates }: Pick<RouterParts, 'tiers' | 'tierStates'>,
  request: AttemptRequest,
  slot: TierSlot,
  signal: AbortSignal,
): Promise<{ facts: TierFacts[]; states: ReadonlyMap<string, TierState> }> {
  const shared = tiers.filter(({ backend }) => backend.isLocal !== true);
  const names = shared.map(({ backend }) => backend.name);
  const states =
    names.length === 0 ? new Map<string, TierState>() : await tierStates.read(names, signal);
  const facts = tiers.map(({ backend, quality, concurrency }): TierFacts => {
    const { name } = backend;
    const state = states.get(name) ?? IDLE;
    return {
      ...{ name, quality, concurrency },
      support: backend.supports(request),
      breaker: state,
      running: state.running,
      // Neither the job itself nor those that came after it are waited for.
      waiting: slot.countAhead(name, state.waiting),
      p50Ms: p50(state.recentMs),
    };
  });
  return { facts, states };
}
