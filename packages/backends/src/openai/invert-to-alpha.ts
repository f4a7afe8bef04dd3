import sharp from 'sharp';

/**
 * A mask as the edits route wants it: see-through where the picture is to be painted anew.
 * @param mask PNG, white where the picture is to be painted anew
 * @returns PNG of the same size
 */
export async function invertToAlpha(mask: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
  const image = sharp(mask).removeAlpha().toColourspace('b-w').extractChannel(0).negate();
  const { data, info } = await image.raw().toBuffer({ resolveWithObject: true });
  signal.throwIfAborted();
  const pixels = Buffer.alloc(info.width * info.height * 4);
  for (let at = 0; at < data.length; at += 1) pixels[at * 4 + 3] = data[at] ?? 0;
  const raw = { width: info.width, height: info.height, channels: 4 as const };
  return sharp(pixels, { raw }).png().toBuffer();
}
