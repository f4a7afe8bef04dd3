import {
  http,
  startFakeCloudflare,
  startFakeOpenAi,
  startSystem,
  type FakeService,
  type RawHttp,
  type TestSystem,
} from '@tiercel/testkit';

/** A Tiercel in front of fake image services, for the tests of fallback. */
export interface FallbackSystem {
  readonly primary: FakeService;
  readonly second: FakeService;
  readonly system: TestSystem;
  readonly api: RawHttp;
}

export interface FallbackOptions {
  /** More keys of the primary's entry, as YAML (`, hedge: true`). */
  readonly primaryKeys?: string;
  /** Entries of the list of tiers behind the two, as YAML. */
  readonly moreTiers?: string;
  /** Further sections of the configuration file. */
  readonly config?: string;
  readonly workers?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** `primary` (OpenAI's wire), then `dreamshaper` (Cloudflare's), then what the options add. */
export async function startFallbackSystem(options: FallbackOptions = {}): Promise<FallbackSystem> {
  const [primary, second] = [await startFakeOpenAi(), await startFakeCloudflare()];
  const tiers = [
    `{ name: primary, driver: openai, url: "${primary.url}/v1", apiKey: key-1, model: gpt-image-2${options.primaryKeys ?? ''} }`,
    `{ name: dreamshaper, driver: cloudflare, url: "${second.url}/client/v4", accountId: acc, apiKey: key-2, model: "@cf/lykon/dreamshaper-8-lcm" }`,
    ...(options.moreTiers === undefined ? [] : [options.moreTiers]),
  ];
  const system = await startSystem({
    configYaml: `tiers: [${tiers.join(', ')}]\n${options.config ?? ''}`,
    workers: options.workers ?? 1,
    ...(options.env === undefined ? {} : { env: options.env }),
  });
  return { primary, second, system, api: http(system.url) };
}

let nextSeed = 1;

/** The default text-to-image graph with a seed of its own, so that no stored result answers. */
export function textToImage(
  more: { seed?: number | string; text?: string; size?: number; batch?: number } = {},
): Record<string, { class_type: string; inputs: Record<string, unknown> }> {
  const { seed = (nextSeed += 1), text = 'a fox', size = 256, batch = 1 } = more;
  return {
    '3': {
      class_type: 'KSampler',
      inputs: {
        seed,
        steps: 8,
        cfg: 2,
        sampler_name: 'euler',
        scheduler: 'normal',
        denoise: 1,
        model: ['4', 0],
        positive: ['6', 0],
        negative: ['7', 0],
        latent_image: ['5', 0],
      },
    },
    '4': {
      class_type: 'CheckpointLoaderSimple',
      inputs: { ckpt_name: 'v1-5-pruned-emaonly.safetensors' },
    },
    '5': {
      class_type: 'EmptyLatentImage',
      inputs: { width: size, height: size, batch_size: batch },
    },
    '6': { class_type: 'CLIPTextEncode', inputs: { text, clip: ['4', 1] } },
    '7': { class_type: 'CLIPTextEncode', inputs: { text: 'blurry', clip: ['4', 1] } },
    '8': { class_type: 'VAEDecode', inputs: { samples: ['3', 0], vae: ['4', 2] } },
    '9': { class_type: 'SaveImage', inputs: { filename_prefix: 'fb', images: ['8', 0] } },
  };
}

/** The `tiercel` object of a history item. */
export interface Report {
  readonly served_by: { tier: string; driver: string; model: string | null } | null;
  readonly attempts: { tier: string; class: string; ms: number; message?: string }[];
  readonly skipped?: { tier: string; reason: string }[];
  readonly degraded: boolean;
  readonly dropped_params: string[];
  readonly cached?: true;
  readonly omitted?: string[];
}

export function reportOf(item: object): Report {
  return (item as { tiercel: Report }).tiercel;
}

/** How many requests for pictures a service has had. */
export function countCalls(service: FakeService): number {
  return service.requests().filter(({ method }) => method === 'POST').length;
}
