/** The usual text-to-image graph, 256x256: the smallest picture that every stand-in paints without scaling. */

const SIDE = 256;

export interface SamplingJob {
  readonly promptId: string;
  readonly clientId: string;
  /** Jobs with equal seeds are equal. */
  readonly seed: number;
  /** Undefined: as Tiercel does by itself. */
  readonly cache: boolean | undefined;
}

/** The body of POST /prompt for one job. */
export function samplingBody({ promptId, clientId, seed, cache }: SamplingJob): string {
  const conditioning = { positive: ['2', 0], negative: ['3', 0] };
  return JSON.stringify({
    prompt_id: promptId,
    client_id: clientId,
    ...(cache === undefined ? {} : { extra_data: { cache } }),
    prompt: {
      '1': { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: CHECKPOINT } },
      '2': { class_type: 'CLIPTextEncode', inputs: { clip: ['1', 1], text: 'a lighthouse' } },
      '3': { class_type: 'CLIPTextEncode', inputs: { clip: ['1', 1], text: 'blurry' } },
      '4': {
        class_type: 'EmptyLatentImage',
        inputs: { width: SIDE, height: SIDE, batch_size: 1 },
      },
      '5': {
        class_type: 'KSampler',
        inputs: {
          ...{ model: ['1', 0], latent_image: ['4', 0], ...conditioning },
          ...{ seed, steps: 4, cfg: 1.5, denoise: 1 },
          ...{ sampler_name: 'euler', scheduler: 'normal' },
        },
      },
      '6': { class_type: 'VAEDecode', inputs: { samples: ['5', 0], vae: ['1', 2] } },
      '7': { class_type: 'PreviewImage', inputs: { images: ['6', 0] } },
    },
  });
}

/** What tiers of these benchmarks stand for. */
export const CHECKPOINT = 'bench.safetensors';
