import { createPacer, inRows, interpolate } from '@tiercel/pictures';
import { layeredNoise } from './random.ts';
import type { Scene } from './scene.ts';

/** The sky is soft: it is computed on a small grid and enlarged. */
const SKY_GRID = 72;
const VIGNETTE = 0.14;
const MIST = 0.35;
const GLOW = 0.55;
/** Where the glow is no longer seen, in radii of the sun. */
const GLOW_REACH = 10;

/** What a point of a ridge costs, in samples of a picture. */
const NOISE_COST = 100;

// Bound once: looking up a global in every turn of a pixel loop is slow inside vm contexts (Jest).
const { exp, max, min, sqrt } = Math;

/** Paints a scene: interleaved RGB samples in 0..1. @throws the reason of the signal */
export async function paintScene(
  scene: Scene,
  width: number,
  height: number,
  signal: AbortSignal,
): Promise<Float32Array> {
  const pace = createPacer(signal);
  const canvas = await paintSky(scene, { width, height }, signal);
  const { sun, ridges, mist, contrast } = scene;
  const sunX = sun.x * width;
  const sunY = sun.y * height;
  const sunRadius = Math.max(1, sun.radius * height);
  const fadeDepth = -5 / height;
  const hills: { color: (typeof ridges)[number]['color']; profile: Float32Array }[] = [];
  for (const ridge of ridges) {
    const profile = await traceRidge(ridge, { width, height, octaves: scene.octaves, signal });
    hills.push({ color: ridge.color, profile });
  }
  // From the nearest to the farthest: what lies behind an opaque ridge is never looked at.
  hills.reverse();

  for (let y = 0; y < height; y += 1) {
    const dy = (y / height - 0.5) * 2;
    const sunDy = (y - sunY) ** 2;
    for (let x = 0; x < width; x += 1) {
      const at = (y * width + x) * 3;
      let red = 0;
      let green = 0;
      let blue = 0;
      let open = 1; // how much of what lies behind still shows
      for (const { color, profile } of hills) {
        const depth = y - (profile[x] ?? height);
        if (depth <= -0.5) continue;
        const cover = depth < 0.5 ? (depth + 0.5) * open : open;
        const haze = MIST * exp(fadeDepth * depth);
        red += cover * (color[0] + (mist[0] - color[0]) * haze);
        green += cover * (color[1] + (mist[1] - color[1]) * haze);
        blue += cover * (color[2] + (mist[2] - color[2]) * haze);
        open -= cover;
        if (open <= 0) break;
      }
      if (open > 0) {
        const distance = sqrt((x - sunX) ** 2 + sunDy) / sunRadius;
        const disc = min(1, max(0, (1 - distance) * sunRadius + 0.5));
        const glow = distance < GLOW_REACH ? max(disc, GLOW * exp(-0.6 * distance)) : 0;
        red += open * mix(canvas[at], sun.color[0], glow);
        green += open * mix(canvas[at + 1], sun.color[1], glow);
        blue += open * mix(canvas[at + 2], sun.color[2], glow);
      }
      const dx = (x / width - 0.5) * 2;
      const shade = 1 - VIGNETTE * (dx * dx + dy * dy);
      canvas[at] = clamp((0.5 + (red - 0.5) * contrast) * shade);
      canvas[at + 1] = clamp((0.5 + (green - 0.5) * contrast) * shade);
      canvas[at + 2] = clamp((0.5 + (blue - 0.5) * contrast) * shade);
    }
    const pause = pace();
    if (pause) await pause;
  }
  return canvas;
}

function mix(from: number | undefined, to: number, share: number): number {
  return (from ?? 0) + (to - (from ?? 0)) * share;
}

function clamp(value: number): number {
  return value < 0 ? 0 : value > 1 ? 1 : value;
}

async function paintSky(
  scene: Scene,
  { width, height }: { width: number; height: number },
  signal: AbortSignal,
): Promise<Float32Array> {
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
    signal,
  );
}

/** The upper edge of a ridge for every column, in pixels from the top. */
async function traceRidge(
  ridge: Scene['ridges'][number],
  picture: { width: number; height: number; octaves: number; signal: AbortSignal },
): Promise<Float32Array> {
  const { width, height, octaves, signal } = picture;
  const profile = new Float32Array(width);
  await inRows(
    { width: NOISE_COST, height: width },
    (x) => {
      const along = (x / width) * ridge.frequency * max(1, width / height);
      const rise = layeredNoise(along, 0.5, ridge.seed, octaves + 2) - 0.5;
      profile[x] = (ridge.base - rise * ridge.relief * 2) * height;
    },
    signal,
  );
  return profile;
}

function smoothstep(from: number, to: number, value: number): number {
  const t = Math.min(1, Math.max(0, (value - from) / (to - from)));
  return t * t * (3 - 2 * t);
}
