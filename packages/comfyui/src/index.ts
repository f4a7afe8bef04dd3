export type { InputFile } from './comfy-client.ts';
export { type ComfyUiBackend, createComfyUiBackend } from './create-comfyui-backend.ts';
export { toPublicUrl } from './server-address.ts';
