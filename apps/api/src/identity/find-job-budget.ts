import type { EffectivePlan, PolicyStore } from '@tiercel/accounts';
import { costMicros, isFree, MICROS } from '@tiercel/contracts';
import type { Demand } from '@tiercel/graph';
import type { NewJob } from '@tiercel/queue';
import type { Config } from '@tiercel/runtime';

/** What a prompt would cost a tenant, and what that may spend. */
export type JobBudget = NonNullable<NonNullable<NewJob['admission']>['budget']>;

type Limits = Pick<EffectivePlan, 'budget' | 'tiers'>;

/** @returns undefined when there is no budget, or the prompt may be free */
export function findJobBudget(
  limits: Limits,
  demand: Demand,
  tiers: Config['tiers'],
  policy: Pick<PolicyStore, 'read'>,
): JobBudget | undefined {
  const { day, month } = limits.budget;
  if (day === undefined && month === undefined) return undefined;
  const isUsable = ({ name }: Config['tiers'][number]): boolean =>
    limits.tiers?.includes(name) !== false &&
    policy.read('tiers', name).effective.enabled !== false;
  const leastMicros = findLeastCost(demand, tiers, isUsable);
  if (leastMicros === 0) return undefined;
  return { leastMicros, dayMicros: toMicros(day), monthMicros: toMicros(month) };
}

/**
 * What a prompt costs on the tier that is cheapest for it, in millionths, as far as it can be told beforehand; 0 when it may
 * be free. Which tiers can run it is for the workers to say: here it counts whether it samples.
 */
function findLeastCost(
  { pictures: images, pixels, samples }: Demand,
  tiers: Config['tiers'],
  isUsable: (tier: Config['tiers'][number]) => boolean,
): number {
  const isSketching = tiers.every(({ driver }) => driver === 'embedded');
  const serving = tiers.filter(isUsable).filter(({ driver }) => {
    if (driver === 'comfyui') return true;
    return driver === 'embedded' ? !samples || isSketching : samples;
  });
  const costs = serving.map(({ price }) => {
    const use = { images, pixels: images * pixels, runMs: 0 };
    return isFree(price) ? 0 : Math.max(1, costMicros(price, use));
  });
  return costs.length === 0 ? 0 : Math.min(...costs);
}

function toMicros(amount: number | undefined): number | undefined {
  return amount === undefined ? undefined : Math.round(amount * MICROS);
}
