/**
 * What a caller allows when the best tier cannot serve (`extra_data.fallback`): no other tier, only tiers of
 * the same quality, any.
 */
export const FALLBACK_POLICIES = ['never', 'same_quality', 'any'] as const;
export type FallbackPolicy = (typeof FALLBACK_POLICIES)[number];

export function isFallbackPolicy(value: unknown): value is FallbackPolicy {
  return FALLBACK_POLICIES.includes(value as FallbackPolicy);
}

/** Classes of things that a fallback policy may allow to leave out. */
export const OMITTABLE = [
  'lora',
  'controlnet',
  'ip_adapter',
  'embedding',
  'clip_vision',
  'model_patch',
  'area',
] as const;
export type Omittable = (typeof OMITTABLE)[number];
