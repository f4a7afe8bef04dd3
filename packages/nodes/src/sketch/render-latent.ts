import { interpolate } from '../image/interpolate.ts';
import type { LatentLayer, MaskPlane } from '../values.ts';
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
    const mask = layer.mask && (await stretchMask(layer.mask, width, height));
    if (mask) canvas ??= createEmptyCanvas(width, height);
    if (canvas && (mask || layer.weight < 1)) {
      for (let i = 0; i < painted.length; i += 1) {
        const weight = mask ? layer.weight * (mask[(i / 3) | 0] ?? 0) : layer.weight;
        painted[i] = (canvas[i] ?? 0) * (1 - weight) + (painted[i] ?? 0) * weight;
      }
    }
    canvas = painted;
  }
  return canvas ?? createEmptyCanvas(width, height);
}

function createEmptyCanvas(width: number, height: number): Float32Array {
  return new Float32Array(width * height * 3).fill(EMPTY_GREY);
}

async function stretchMask(mask: MaskPlane, width: number, height: number): Promise<Float32Array> {
  if (mask.width === width && mask.height === height) return mask.samples;
  return interpolate({ ...mask, channels: 1 }, width, height, 'bilinear');
}
