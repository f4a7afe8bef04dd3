import { interpolate } from '../image/interpolate.ts';
import { createPacer } from '../pacer.ts';
import { layeredNoise } from './random.ts';
import type { Color, Scene } from './scene.ts';

/** The sky is soft: it is computed on a small grid and enlarged. */
const SKY_GRID = 72;
const VIGNETTE = 0.28;

/** Paints a scene: interleaved RGB samples in 0..1. */
export async function paintScene(
  scene: Scene,
  width: number,
  height: number,
): Promise<Float32Array> {
  const pace = createPacer();
  const canvas = await paintSky(scene, width, height);
  const { sun, ridges, mist, contrast } = scene;
  const sunX = sun.x * width;
  const sunY = sun.y * height;
  const sunRadius = Math.max(1, sun.radius * height);
  const profiles = ridges.map((ridge) => traceRidge(ridge, width, height, scene.octaves)).reverse();
  const colors = ridges.map((ridge) => ridge.color).reverse();

  const pixel = [0, 0, 0];
  for (let y = 0; y < height; y += 1) {
    const dy = (y / height - 0.5) * 2;
    for (let x = 0; x < width; x += 1) {
      const at = (y * width + x) * 3;
      for (let c = 0; c < 3; c += 1) pixel[c] = canvas[at + c] ?? 0;

      const distance = Math.hypot(x - sunX, y - sunY) / sunRadius;
      if (distance < 8) {
        const disc = Math.min(1, Math.max(0, (1 - distance) * sunRadius + 0.5));
        blend(pixel, sun.color, Math.max(disc, 0.55 * Math.exp(-0.6 * distance)));
      }
      // From the nearest ridge back: the first that covers the pixel decides, the one above it is antialiased.
      for (let i = profiles.length - 1; i >= 0; i -= 1) {
        const depth = y - (profiles[i]?.[x] ?? height);
        if (depth <= -0.5) continue;
        blend(pixel, colors[i] ?? mist, Math.min(1, depth + 0.5));
        blend(pixel, mist, Math.min(1, depth + 0.5) * 0.35 * Math.exp((-5 * depth) / height));
      }
      const dx = (x / width - 0.5) * 2;
      const shade = 1 - VIGNETTE * 0.5 * (dx * dx + dy * dy);
      for (let c = 0; c < 3; c += 1) {
        const value = (0.5 + ((pixel[c] ?? 0) - 0.5) * contrast) * shade;
        canvas[at + c] = value < 0 ? 0 : value > 1 ? 1 : value;
      }
    }
    const pause = pace();
    if (pause) await pause;
  }
  return canvas;
}

function blend(pixel: number[], color: Color, amount: number): void {
  for (let c = 0; c < 3; c += 1)
    pixel[c] = (pixel[c] ?? 0) * (1 - amount) + (color[c] ?? 0) * amount;
}

async function paintSky(scene: Scene, width: number, height: number): Promise<Float32Array> {
  const scale = Math.min(1, SKY_GRID / Math.max(width, height));
  const gridWidth = Math.max(1, Math.round(width * scale));
  const gridHeight = Math.max(1, Math.round(height * scale));
  const samples = new Float32Array(gridWidth * gridHeight * 3);
  const aspect = width / height;
  let at = 0;
  for (let y = 0; y < gridHeight; y += 1) {
    const v = (y + 0.5) / gridHeight;
    for (let x = 0; x < gridWidth; x += 1) {
      const u = ((x + 0.5) / gridWidth) * aspect;
      const drift = layeredNoise(u * 1.7, v * 2.3, scene.noiseSeed, scene.octaves);
      const blendDown = smoothstep(0, 0.8, v + (drift - 0.5) * 0.5);
      const puff = layeredNoise(
        u * 2.5 + drift,
        v * 6.5,
        scene.noiseSeed ^ 0x5bd1e995,
        scene.octaves,
      );
      const cover = smoothstep(0.52, 0.78, puff) * 0.6;
      for (let c = 0; c < 3; c += 1) {
        const clear =
          (scene.skyTop[c] ?? 0) * (1 - blendDown) + (scene.skyBottom[c] ?? 0) * blendDown;
        samples[at++] = clear * (1 - cover) + (scene.cloud[c] ?? 0) * cover;
      }
    }
  }
  return interpolate(
    { width: gridWidth, height: gridHeight, channels: 3, samples },
    width,
    height,
    'bilinear',
  );
}

/** The upper edge of a ridge for every column, in pixels from the top. */
function traceRidge(
  ridge: Scene['ridges'][number],
  width: number,
  height: number,
  octaves: number,
): Float32Array {
  const profile = new Float32Array(width);
  for (let x = 0; x < width; x += 1) {
    const along = (x / width) * ridge.frequency * Math.max(1, width / height);
    const rise = layeredNoise(along, 0.5, ridge.seed, octaves + 2) - 0.5;
    profile[x] = (ridge.base - rise * ridge.relief * 2) * height;
  }
  return profile;
}

function smoothstep(from: number, to: number, value: number): number {
  const t = Math.min(1, Math.max(0, (value - from) / (to - from)));
  return t * t * (3 - 2 * t);
}
