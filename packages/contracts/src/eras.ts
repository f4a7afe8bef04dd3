/** Which ComfyUI's words are spoken where its versions differ; the first is the default. */
export const ERAS = ['newest', '0.3.64'] as const;
export type Era = (typeof ERAS)[number];
