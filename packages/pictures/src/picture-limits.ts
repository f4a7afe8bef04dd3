import { PictureError } from './picture-error.ts';

/** The longest side of a picture in pixels, as in JPEG; ComfyUI's own nodes end at 16,384. */
const MAX_SIDE = 65_535;
/** Frames of one animation, or pictures of one batch. */
export const MAX_FRAMES = 16_384;

export interface PictureLimits {
  /** Pixels of all frames together: width * height * frames. */
  readonly maxPixels: number;
  /** The setting that the limit comes from, for messages: `worker.maxPixels`. */
  readonly setting: string;
}

/**
 * @param what how the sentence begins: the file's name, or `The picture`
 * @throws PictureError too_large
 */
export function checkPictureSize(
  what: string,
  { width, height, frames }: { width: number; height: number; frames: number },
  { maxPixels, setting }: PictureLimits,
): void {
  const size = `${width}x${height}`;
  if (Math.max(width, height) > MAX_SIDE) {
    const message = `${what} is ${size} pixels; sides of more than ${format(MAX_SIDE)} are not possible here.`;
    throw new PictureError('too_large', message);
  }
  if (frames > MAX_FRAMES) {
    const message = `${what} has ${format(frames)} frames, more than the ${format(MAX_FRAMES)} possible here.`;
    throw new PictureError('too_large', message);
  }
  const pixels = width * height * frames;
  if (pixels <= maxPixels) return;
  const shape = frames === 1 ? size : `${format(frames)} frames of ${size}`;
  const message =
    `${what} has ${format(pixels)} pixels (${shape}), ` +
    `more than the ${format(maxPixels)} allowed here (${setting}). Make it smaller, or raise that setting.`;
  throw new PictureError('too_large', message);
}

function format(value: number): string {
  return value.toLocaleString('en-US');
}
