import type { AttemptReport, ServiceReport } from '@tiercel/contracts';
import type { AttemptResult } from '../backend.ts';
import type { Tier } from './attempt.ts';
import { isSameQuality, type TierChoice } from './choose-tiers.ts';

type Way = Pick<ServiceReport, 'attempts' | 'skipped'>;

/** The way of a job so far: attempts in their order, and tiers passed over without one. */
export function describeWay(attempts: readonly AttemptReport[], choice: TierChoice): Way {
  const skipped = choice.skipped
    .filter(({ kind }) => kind !== 'tried')
    .map(({ tier, reason }) => ({ tier, reason }));
  return { attempts, ...(skipped.length > 0 ? { skipped } : {}) };
}

/** The full report of invariant 11; what does not apply is left out. */
export function describeService(
  tier: Tier,
  result: AttemptResult,
  { preferred, isCached, ...way }: Way & { preferred: Tier; isCached: boolean },
): ServiceReport {
  const { name, driver } = tier.backend;
  const { changedParams = [], omitted = [] } = result;
  const isSame = isSameQuality(
    { name, quality: tier.quality },
    { name: preferred.backend.name, quality: preferred.quality },
  );
  return {
    served_by: { tier: name, driver, model: result.model },
    ...way,
    degraded: !isSame || omitted.length > 0,
    dropped_params: result.droppedParams,
    ...(changedParams.length > 0 ? { changed_params: changedParams } : {}),
    ...(omitted.length > 0 ? { omitted } : {}),
    ...(isCached ? { cached: true } : {}),
    ...(result.sketch ? { sketch: true } : {}),
  };
}
