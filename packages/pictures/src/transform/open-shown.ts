import { readFile } from 'node:fs/promises';
import type { Sharp } from 'sharp';
import { decodeBmp } from '../decode/bmp.ts';
import { openPicture, openRaw } from '../decode/open-picture.ts';
import type { PictureHeader, PictureSource } from '../decode/read-header.ts';
import type { PictureLimits } from '../picture-limits.ts';

/** Opens the first frame of a picture as a screen shows it: upright, in the colours of sRGB. */
export async function openShown(
  { content }: PictureSource,
  { bmp }: PictureHeader,
  { maxPixels }: PictureLimits,
): Promise<Sharp> {
  if (bmp === undefined) {
    return openPicture(content, { maxPixels, colours: 'shown' }).autoOrient();
  }
  const file = typeof content === 'string' ? await readFile(content) : content;
  return openRaw(await decodeBmp(file, bmp));
}

/** One byte a pixel; 255 everywhere for a picture without alpha. */
export function readAlpha(picture: Sharp): Promise<Buffer> {
  return picture.ensureAlpha().extractChannel('alpha').raw().toBuffer();
}
