import type { JsonObject } from '@tiercel/contracts';

/** What decides whether a result may be kept: what the graph samples, and the caller's word. */
export interface CacheableRequest {
  /** A `Lowering` of packages/graph has them. */
  readonly stages: readonly {
    readonly request: { readonly seed: number | bigint | undefined };
  }[];
  readonly extraData: JsonObject | undefined;
}

/**
 * Whether equal requests may share a result. The caller's `extra_data.cache` decides when it is true or
 * false; else every sampler must have a seed that the graph fixes. A graph without a sampler is
 * not taken for fixed: what its nodes draw at random is not known.
 */
export function isCacheable({ stages, extraData }: CacheableRequest): boolean {
  const wish = extraData?.cache;
  if (typeof wish === 'boolean') return wish;
  return stages.length > 0 && stages.every(({ request }) => request.seed !== undefined);
}
