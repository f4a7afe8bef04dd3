import type { PictureLimits } from '../picture-limits.ts';
import { runNative } from '../work/native-turns.ts';
import { openingBytes } from './decode-memory.ts';
import { openPicture, type RawFrame } from './open-picture.ts';
import { readHeader, unreadable, type PictureSource } from './read-header.ts';

/**
 * Decodes one picture as RGB, scaled to a size when it has another one; what stands over is cut off evenly. A file
 * that is not whole is refused: it comes from a program, which can be asked again.
 * @param size pixels
 * @param reserve asked for the bytes of memory that it takes, before it takes them
 * @returns the picture, and the size it had
 * @throws PictureError; what `reserve` throws
 */
export async function decodeFitted(
  source: PictureSource,
  size: { readonly width: number; readonly height: number },
  { limits, reserve }: { limits: PictureLimits; reserve: (bytes: number) => Promise<void> },
): Promise<{ readonly frame: RawFrame; readonly from: { width: number; height: number } }> {
  const header = await readHeader(source, limits, 'first');
  const from = { width: header.width, height: header.height };
  const { width, height } = size;
  await reserve(3 * width * height + openingBytes(header));
  const { maxPixels } = limits;
  const input = openPicture(source.content, { maxPixels, isStrict: true });
  const upright = input.autoOrient().removeAlpha().toColourspace('srgb');
  const isFit = from.width === width && from.height === height;
  const fitted = isFit
    ? upright
    : upright.resize(width, height, { fit: 'cover', kernel: 'lanczos3' });
  try {
    const data = await runNative(from.width * from.height, () =>
      fitted.raw({ depth: 'uchar' }).toBuffer(),
    );
    return { frame: { width, height, channels: 3, data }, from };
  } catch (cause) {
    throw unreadable(source.name, header.format, cause);
  }
}
