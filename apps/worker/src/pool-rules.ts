import type { PolicyStore } from '@tiercel/accounts';
import type { PoolRules } from '@tiercel/contracts';

/** The pool that a worker is in, and what counts for it now. */
export interface OwnPool {
  readonly rules: PoolRules;
  /** It starts no jobs. */
  readonly isPaused: boolean;
  /** Nor is it to be given any: they are for other workers. */
  readonly isDrained: boolean;
  /** Whether its workers use a tier. */
  readonly uses: (tier: string) => boolean;
}

/** As the worker's file and administrators have it. */
export function readPool(name: string, policy: Pick<PolicyStore, 'read'>): OwnPool {
  const { plans, nodes, models, maxCostMs, tiers, paused, drain } = policy.read(
    'pools',
    name,
  ).effective;
  return {
    rules: {
      name,
      plans: plans ?? undefined,
      nodes: nodes ?? undefined,
      models: models ?? undefined,
      maxCostMs: maxCostMs ?? undefined,
    },
    isPaused: paused === true || drain === true,
    isDrained: drain === true,
    // What no file names, the worker has made for itself.
    uses: (tier) =>
      tiers?.includes(tier) !== false || policy.read('tiers', tier).file === undefined,
  };
}
