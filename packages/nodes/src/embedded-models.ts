import { modelInputs } from '@tiercel/graph';

/** The one file whose name says what stands behind it. */
const SKETCH = 'sketch.safetensors';

/**
 * The model files the embedded tier claims to have, by folder, so that the graphs of stock frontends
 * validate and each of their lists has something to choose. None exists: every name leads to the sketch
 * generator.
 */
export const embeddedModels: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(
    [...modelInputs.values()].flat().map(({ folder }) => [folder, [SKETCH]] as const),
  ),
  checkpoints: [SKETCH, 'v1-5-pruned-emaonly.safetensors', 'v1-5-pruned-emaonly-fp16.safetensors'],
};
