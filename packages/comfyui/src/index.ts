export { type ComfyUiBackend, createComfyUiBackend } from './create-comfyui-backend.ts';
export type { InputFile } from './file-form.ts';
export { toPublicUrl } from './public-url.ts';
