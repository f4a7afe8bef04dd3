export { createAutomatic1111Service } from './automatic1111/create-automatic1111-service.ts';
export { createCloudflareService } from './cloudflare/create-cloudflare-service.ts';
export { createOpenAiService } from './openai/create-openai-service.ts';
export { createPollinationsService } from './pollinations/create-pollinations-service.ts';
export { createServiceBackend } from './service/create-service-backend.ts';
export { IMAGE_PARAMS, type ImageService } from './service/image-service.ts';
export { createTurboService } from './turbo/create-turbo-service.ts';
