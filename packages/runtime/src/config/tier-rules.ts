import { findHeaderProblem } from './address-kinds.ts';

/** Drivers of tiers: what a tier of each must and may name besides its name. */
export const TIER_DRIVERS = [
  'openai',
  'cloudflare',
  'automatic1111',
  'turbo',
  'pollinations',
  'comfyui',
  'embedded',
] as const;
export type TierDriver = (typeof TIER_DRIVERS)[number];

type Place = 'url' | 'urls' | 'apiKey' | 'accountId' | 'model';

interface TierRule {
  readonly required: readonly Place[];
  readonly optional: readonly Place[];
  /** Where the service is when the tier names no url. */
  readonly url?: string;
  readonly model?: string;
  /** Attempts at once when the tier names no limit. */
  readonly concurrency?: number;
  /** Limit for one attempt when the tier names none. */
  readonly timeoutMs: number;
}

/** A picture of an image service comes within seconds; after this long it will not come. */
const SERVICE_TIMEOUT_MS = 60_000;
/** A video on a ComfyUI server takes minutes. */
const GRAPH_TIMEOUT_MS = 600_000;

export const TIER_RULES: Readonly<Record<TierDriver, TierRule>> = {
  openai: {
    required: ['apiKey', 'model'],
    optional: ['url'],
    url: 'https://api.openai.com/v1',
    timeoutMs: SERVICE_TIMEOUT_MS,
  },
  cloudflare: {
    required: ['accountId', 'apiKey', 'model'],
    optional: ['url'],
    url: 'https://api.cloudflare.com/client/v4',
    timeoutMs: SERVICE_TIMEOUT_MS,
  },
  automatic1111: {
    required: ['url'],
    optional: ['apiKey', 'model'],
    // It renders one request at a time, and its progress is that of the server.
    concurrency: 1,
    timeoutMs: SERVICE_TIMEOUT_MS,
  },
  turbo: { required: ['urls'], optional: ['model'], timeoutMs: SERVICE_TIMEOUT_MS },
  pollinations: {
    required: [],
    optional: ['url', 'apiKey', 'model'],
    url: 'https://gen.pollinations.ai',
    model: 'flux',
    timeoutMs: SERVICE_TIMEOUT_MS,
  },
  comfyui: { required: ['urls'], optional: [], timeoutMs: GRAPH_TIMEOUT_MS },
  embedded: { required: [], optional: [], timeoutMs: GRAPH_TIMEOUT_MS },
};

const PLACES: readonly Place[] = ['url', 'urls', 'apiKey', 'accountId', 'model'];

/** What is wrong with the fields of a tier, by field. */
export function findTierProblems(
  tier: { readonly driver: TierDriver } & Readonly<Partial<Record<Place, unknown>>>,
): { readonly field: Place; readonly message: string }[] {
  const { required, optional } = TIER_RULES[tier.driver];
  return PLACES.flatMap((field) => {
    const value = tier[field];
    const isGiven = Array.isArray(value) ? value.length > 0 : value !== undefined;
    if (required.includes(field)) {
      if (isGiven) return [];
      const message = field === 'urls' ? 'must name at least one server' : 'is missing';
      return [{ field, message }];
    }
    if (!isGiven || optional.includes(field)) return [];
    const message =
      field === 'urls' ? `${tier.driver} takes no servers` : `${tier.driver} takes no ${field}`;
    return [{ field, message }];
  });
}

/** What is wrong with a key: most are sent as they are, Automatic1111's is a login. */
export function findKeyProblem(tier: {
  readonly driver: TierDriver;
  readonly apiKey?: string | undefined;
}): string | undefined {
  const { driver, apiKey } = tier;
  if (apiKey === undefined) return undefined;
  if (driver === 'automatic1111') {
    return /^[^:\r\n]+:[^\r\n]*$/.test(apiKey)
      ? undefined
      : 'must be user:password in one line, as --api-auth has it';
  }
  return findHeaderProblem(apiKey);
}
