import { createHash } from 'node:crypto';
import { stringifyJson } from '@tiercel/contracts';

/** An effective request: what must be equal for one job's result to answer another job. */
export interface CacheKey {
  /** Who asks. */
  readonly tenant: string;
  /** Whose results these are: a tenant's, or SHARED. */
  readonly scope: string;
  readonly tier: string;
  readonly model: string;
  /** The executor's cache key of each output node (`outputKeys` of packages/nodes), by node id. */
  readonly outputs: ReadonlyMap<string, string>;
}

/** The scope of results that answer jobs of every tenant. */
export const SHARED = 'shared';

/** Changes with what is stored: workers of two versions must not read each other's entries. */
const FORMAT = 1;

/** A short name of the request, without node ids: the same nodes under other ids hash to the same. */
export function hashCacheKey({ scope, tier, model, outputs }: CacheKey): string {
  // Equal output nodes show the same, so how many of them there are makes no difference.
  const nodeKeys = [...new Set(outputs.values())].sort();
  const material = stringifyJson([FORMAT, scope, tier, model, nodeKeys]);
  return createHash('sha256').update(material).digest('base64url');
}
