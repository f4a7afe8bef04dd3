import { createHash } from 'node:crypto';
import type { NamedProfile } from '@tiercel/events';
import type { TierCapabilities } from './describe-capabilities.ts';
import type { OwnPool } from './pool-rules.ts';

/** So many workers never differ that two profiles would share a name. */
const ID_LENGTH = 12;

/**
 * What a worker can run, as far as it decides which jobs it gets. Files of models are not in it but for its name:
 * which of them a job needs only its tiers know, and a worker whose tiers lack one declines the job.
 */
export function describeProfile(
  { objectInfo, models, tiers }: Pick<TierCapabilities, 'objectInfo' | 'models' | 'tiers'>,
  { rules, isDrained, uses }: Pick<OwnPool, 'rules' | 'isDrained' | 'uses'>,
): NamedProfile {
  const profile = {
    pool: rules,
    tiers: tiers.map(({ name }) => name).filter(uses),
    classes: Object.keys(objectInfo).sort(),
  };
  const files = Object.entries(models)
    .map(([folder, names]) => [folder, [...names].sort()] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const id = createHash('sha256')
    .update(JSON.stringify([profile, files]))
    .digest('hex')
    .slice(0, ID_LENGTH);
  return { id, profile, isDrained };
}
