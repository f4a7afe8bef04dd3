import type { AttemptClass } from '@tiercel/contracts';

/** What a driver makes of a fault; `served`: pictures, which whoever decodes them will look at. */
export type Expectation = AttemptClass | 'served';
type Expectations = Readonly<Record<string, Expectation>>;

const COMMON: Expectations = {
  unauthorized: 'config',
  forbidden: 'config',
  model_gone: 'config',
  unknown_model: 'config',
  // Without a word of what the caller sent.
  invalid_request: 'config',
  invalid_prompt: 'caller',
  safety: 'safety',
  quota: 'quota',
  rate: 'rate',
  queue_full: 'rate',
  rate_in_200: 'rate',
  capacity: 'capacity',
  out_of_memory: 'server',
  error: 'server',
  error_with_seed: 'server',
  unavailable: 'capacity',
  blocked: 'config',
  // The request was a small one.
  too_large: 'config',
  redirect: 'config',
  hang: 'timeout',
  slow: 'served',
  reset: 'network',
  cut: 'network',
  empty: 'bad_output',
  text: 'bad_output',
  truncated_image: 'served',
  black_image: 'served',
  wrong_size: 'served',
  // None instead of one.
  wrong_count: 'bad_output',
};

const OWN: Readonly<Record<string, Expectations>> = {
  // Asked again without the seed.
  cloudflare: { error_with_seed: 'served' },
  // Never sent a seed.
  openai: { error_with_seed: 'served' },
  automatic1111: {
    // A sampler's name is this driver's translation, not the caller's word.
    invalid_request: 'unsupported',
    // It refuses nothing; what it censors is black.
    safety: 'served',
    out_of_memory: 'capacity',
    // It has no code for it.
    rate_in_200: 'bad_output',
  },
  turbo: { out_of_memory: 'capacity', rate_in_200: 'bad_output' },
};

/** How the driver of a vendor tells a fault of the vocabulary of fake services. */
export function expectedClass(vendor: string, fault: string): Expectation | undefined {
  return OWN[vendor]?.[fault] ?? COMMON[fault];
}
