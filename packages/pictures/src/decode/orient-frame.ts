import { inRows } from '../work/slices.ts';
import type { RawFrame } from './open-picture.ts';

/**
 * Turns a frame upright (frames of an animation: libvips turns single pictures itself).
 * @param orientation 1 to 8 as in EXIF
 */
export async function orientFrame(
  frame: RawFrame,
  orientation: number,
  signal?: AbortSignal,
): Promise<RawFrame> {
  if (orientation <= 1 || orientation > 8) return frame;
  const { width, height, channels, data } = frame;
  const isTurned = orientation >= 5;
  const upright = isTurned ? { width: height, height: width } : { width, height };
  const isMirrored = [2, 3, 7, 8].includes(orientation);
  const isUpsideDown = [3, 4, 6, 7].includes(orientation);
  const out = new Uint8Array(data.length);
  await inRows(
    upright,
    (y) => {
      let to = y * upright.width * channels;
      for (let x = 0; x < upright.width; x += 1) {
        const [column, row] = isTurned ? [y, x] : [x, y];
        const sourceX = isMirrored ? width - 1 - column : column;
        const sourceY = isUpsideDown ? height - 1 - row : row;
        const from = (sourceY * width + sourceX) * channels;
        for (let c = 0; c < channels; c += 1) out[to++] = data[from + c] ?? 0;
      }
    },
    signal,
  );
  return { ...upright, channels, data: out };
}
