import {
  createAutomatic1111Service,
  createCloudflareService,
  createOpenAiService,
  createPollinationsService,
  createTurboService,
  type ImageService,
} from '@tiercel/image-services';
import { systemClock, TIER_RULES, type TierConfig, type TierDriver } from '@tiercel/runtime';

type ServiceDriver = Exclude<TierDriver, 'comfyui' | 'embedded'>;

export function isServiceTier(tier: TierConfig): tier is TierConfig & { driver: ServiceDriver } {
  return tier.driver !== 'comfyui' && tier.driver !== 'embedded';
}

/** The driver of a tier that is an image service. The configuration has seen to what it must name. */
export function createImageService(tier: TierConfig & { driver: ServiceDriver }): ImageService {
  const rule = TIER_RULES[tier.driver];
  const { urls, url = rule.url ?? '', apiKey, accountId = '', model = rule.model } = tier;
  switch (tier.driver) {
    case 'openai':
      return createOpenAiService({ url, apiKey: apiKey ?? '', model: model ?? '' });
    case 'cloudflare':
      return createCloudflareService({ url, accountId, apiKey: apiKey ?? '', model: model ?? '' });
    case 'automatic1111':
      return createAutomatic1111Service({ url, apiKey, model });
    case 'turbo':
      return createTurboService({ urls, model, clock: systemClock });
    case 'pollinations':
      return createPollinationsService({ url, apiKey, model: model ?? '' });
  }
}
