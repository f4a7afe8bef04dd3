/**
 * The model files the embedded tier claims to have, so that the graphs of stock frontends validate.
 * None exists: every checkpoint name leads to the sketch generator.
 */
export const embeddedModels = {
  checkpoints: [
    'sketch.safetensors',
    'v1-5-pruned-emaonly.safetensors',
    'v1-5-pruned-emaonly-fp16.safetensors',
  ],
} as const satisfies Record<string, readonly string[]>;
