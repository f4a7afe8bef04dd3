import { openBlack, openPicture } from '../decode/open-picture.ts';
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

/**
 * A mask as services want it that take it from the alpha of a picture: see-through where the mask is white, black
 * elsewhere.
 * @param mask PNG of our own
 * @returns PNG of the same size
 */
export async function invertToAlpha(mask: Uint8Array): Promise<Uint8Array> {
  const { width, height } = await openPicture(mask).metadata();
  return runNative(width * height, async () => {
    const alpha = await openPicture(mask)
      .removeAlpha()
      .toColourspace('b-w')
      .extractChannel(0)
      .negate()
      .raw()
      .toBuffer();
    return openBlack(width, height)
      .joinChannel(alpha, { raw: { width, height, channels: 1 } })
      .png()
      .toBuffer();
  });
}
