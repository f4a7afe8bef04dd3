import { openPicture } from '../decode/open-picture.ts';
import { runNative } from '../work/native-turns.ts';

/**
 * A picture made small enough for a service that takes no larger ones; never made larger.
 * @param png PNG of our own
 * @param maxSide pixels
 * @returns PNG, and its size
 */
export async function shrinkPng(
  png: Uint8Array,
  maxSide: number,
): Promise<{ readonly bytes: Uint8Array; readonly width: number; readonly height: number }> {
  const { width, height } = await openPicture(png).metadata();
  const limits = { fit: 'inside', withoutEnlargement: true } as const;
  const { data, info } = await runNative(width * height, () =>
    openPicture(png).resize(maxSide, maxSide, limits).png().toBuffer({ resolveWithObject: true }),
  );
  return { bytes: data, width: info.width, height: info.height };
}
