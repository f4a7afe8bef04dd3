/**
 * What a caller allows when the best tier cannot serve (`extra_data.fallback`): no other tier, only tiers of
 * the same quality, any.
 */
export const FALLBACK_POLICIES = ['never', 'same_quality', 'any'] as const;
export type FallbackPolicy = (typeof FALLBACK_POLICIES)[number];

export function isFallbackPolicy(value: unknown): value is FallbackPolicy {
  return FALLBACK_POLICIES.includes(value as FallbackPolicy);
}
