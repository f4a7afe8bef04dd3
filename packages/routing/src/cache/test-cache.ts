import { DEFAULT_TENANT } from '@tiercel/contracts';
import type { OutputRef } from '@tiercel/contracts';
import type { CacheKey } from './cache-key.ts';
import type { CachedJob } from './cached-job.ts';

/** Test support: requests and results, by node ids. */
export function keyOf(outputs: Record<string, string>, over: Partial<CacheKey> = {}): CacheKey {
  return {
    ...{ tenant: DEFAULT_TENANT, scope: 'tenant', tier: 'primary', model: 'm1' },
    outputs: new Map(Object.entries(outputs)),
    ...over,
  };
}

const image = (filename: string): OutputRef => ({ filename, subfolder: '', type: 'output' });

/** A result whose output nodes show one picture each. */
export function jobOf(
  pictures: Record<string, string>,
  over: Partial<CachedJob['report']> = {},
): CachedJob {
  const shown = Object.entries(pictures).map(([id, name]) => [id, { images: [image(name)] }]);
  return {
    // Object.fromEntries does not keep the types of pairs.
    outputs: Object.fromEntries(shown) as CachedJob['outputs'],
    report: {
      served_by: { tier: 'primary', driver: 'openai', model: 'm1' },
      degraded: false,
      dropped_params: ['cfg'],
      changed: [{ param: 'steps', asked: 50, used: 20 }],
      omitted: [],
      ...over,
    },
  };
}

export const HOUR_MS = 3_600_000;
export const LIMITS = { maxBytes: 100_000_000, maxAgeMs: HOUR_MS, degradedMaxAgeMs: 60_000 };
