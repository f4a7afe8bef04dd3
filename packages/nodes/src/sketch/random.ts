import { createHash } from 'node:crypto';

// Bound once: looking up a global in every turn of a pixel loop is slow inside vm contexts (Jest).
const { floor, imul } = Math;

/** A seed for `latticeValue` and the start of a random sequence, both from any text. */
export function hashText(text: string): Uint32Array {
  const digest = createHash('sha256').update(text).digest();
  return Uint32Array.from({ length: 8 }, (_, i) => digest.readUInt32LE(i * 4));
}

/** Numbers in 0..1, the same for the same text (a 32-bit multiply-xorshift counter generator). */
export function createRandom(text: string): () => number {
  const [seed = 1, step = 1] = hashText(text);
  let counter = seed;
  return () => {
    counter = (counter + (step | 1)) >>> 0;
    return mix(counter) / 0x1_0000_0000;
  };
}

function mix(value: number): number {
  let x = value;
  x = imul(x ^ (x >>> 16), 0x7feb352d);
  x = imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

function latticeValue(x: number, y: number, seed: number): number {
  return mix(mix((x + imul(y, 0x9e3779b1)) ^ seed)) / 0x1_0000_0000;
}

/** Smooth noise in 0..1 with features about one unit wide. */
function smoothNoise(x: number, y: number, seed: number): number {
  const x0 = floor(x);
  const y0 = floor(y);
  const u = fade(x - x0);
  const v = fade(y - y0);
  const top = latticeValue(x0, y0, seed) * (1 - u) + latticeValue(x0 + 1, y0, seed) * u;
  const bottom = latticeValue(x0, y0 + 1, seed) * (1 - u) + latticeValue(x0 + 1, y0 + 1, seed) * u;
  return top * (1 - v) + bottom * v;
}

function fade(t: number): number {
  return t * t * (3 - 2 * t);
}

/** Several octaves of smooth noise, in 0..1. */
export function layeredNoise(x: number, y: number, seed: number, octaves: number): number {
  let sum = 0;
  let total = 0;
  let size = 1;
  for (let octave = 0; octave < octaves; octave += 1) {
    sum += smoothNoise(x / size, y / size, seed + octave * 7919) * size;
    total += size;
    size /= 2;
  }
  return sum / total;
}
