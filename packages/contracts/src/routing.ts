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

/** What a failed attempt says about the next one. */
export type AttemptClass =
  | 'caller'
  | 'safety'
  | 'unsupported'
  | 'config'
  | 'quota'
  | 'rate'
  | 'capacity'
  | 'timeout'
  | 'network'
  | 'server'
  | 'bad_output'
  /** It took longer than the budget of its tenant allows. */
  | 'budget';

/** One try at a job on one tier (invariant 11). */
export interface AttemptReport {
  readonly tier: string;
  readonly driver: string;
  /** `ok`, the class of the failure (docs/fallback.md), the code of the job's error, or `stopped`. */
  readonly class: string;
  readonly ms: number;
  readonly message?: string;
}

/** A parameter that a backend was given with another value than asked (steps over its limit, ...). */
export interface ParamChange {
  readonly param: string;
  readonly asked: number | string;
  readonly used: number | string;
}

/** What served a job: the `tiercel` object of a history item. */
export interface ServiceReport {
  readonly served_by: {
    readonly tier: string;
    readonly driver: string;
    readonly model: string | null;
  } | null;
  readonly attempts: readonly AttemptReport[];
  /** Tiers that were passed over, and why. */
  readonly skipped?: readonly { readonly tier: string; readonly reason: string }[];
  /** Served by a tier of other quality than the first that could, or with something left out. */
  readonly degraded: boolean;
  readonly dropped_params: readonly string[];
  readonly changed_params?: readonly ParamChange[];
  /** What of the graph was left out because the policy allows it. */
  readonly omitted?: readonly string[];
  /** A stored result of an equal earlier job. */
  readonly cached?: true;
  /** True when the picture came from the built-in sketch generator, not from a model. */
  readonly sketch?: boolean;
}
