import { interpolate } from '../image/interpolate.ts';
import type { LatentLayer } from '../values.ts';
import { paintScene } from './paint.ts';
import { composeScene } from './scene.ts';

/** What an empty latent decodes to. */
const EMPTY_GREY = 0.5;

/** Renders one latent frame at any size: interleaved RGB samples in 0..1. */
export async function renderLatent(
  layers: readonly LatentLayer[],
  width: number,
  height: number,
): Promise<Float32Array> {
  let canvas: Float32Array | undefined;
  for (const layer of layers) {
    if (layer.kind === 'pixels') {
      const sameSize = layer.width === width && layer.height === height;
      canvas = sameSize
        ? layer.samples
        : await interpolate({ ...layer, channels: 3 }, width, height, 'bilinear');
      continue;
    }
    const painted = await paintScene(composeScene(layer.recipe), width, height);
    if (canvas && layer.weight < 1) {
      for (let i = 0; i < painted.length; i += 1) {
        painted[i] = (canvas[i] ?? 0) * (1 - layer.weight) + (painted[i] ?? 0) * layer.weight;
      }
    }
    canvas = painted;
  }
  return canvas ?? new Float32Array(width * height * 3).fill(EMPTY_GREY);
}
