import { PictureError } from '../picture-error.ts';
import { runNative } from '../work/native-turns.ts';
import { inRows, inSlices } from '../work/slices.ts';
import { decodeAnimation } from './apng.ts';
import { decodeBmp } from './bmp.ts';
import { openPicture, type RawFrame } from './open-picture.ts';
import { type PictureHeader, type PictureSource, unreadable } from './read-header.ts';

/**
 * Decodes the frames of a picture in memory, upright, as 8-bit samples with colours as they are stored. A frame is
 * only good until the next one is asked for.
 * @param source its content is bytes
 * @param header what readHeader said of it
 * @throws PictureError unreadable; the reason of the signal
 */
export async function* decodeFrames(
  source: PictureSource,
  header: PictureHeader,
  signal?: AbortSignal,
): AsyncGenerator<RawFrame> {
  try {
    yield* decode(source, header, signal);
  } catch (cause) {
    if (signal?.aborted || cause instanceof PictureError) throw cause;
    throw unreadable(source.name, header.format, cause);
  }
}

async function* decode(
  { content }: PictureSource,
  header: PictureHeader,
  signal: AbortSignal | undefined,
): AsyncGenerator<RawFrame> {
  const { format, width, height, orientation, pages, bmp, animation } = header;
  const maxPixels = width * height * pages.length;
  if (bmp !== undefined && typeof content !== 'string') {
    yield await decodeBmp(content, bmp, signal);
    return;
  }
  if (animation !== undefined) {
    for await (const frame of decodeAnimation(animation, signal)) {
      yield await orientFrame(frame, orientation, signal);
    }
    return;
  }
  if (pages.length > 1 && format !== 'tiff') {
    // Frames build on one another, so all are decoded at once: a column of them.
    const column = await readRaw(openPicture(content, { pages: 'all', maxPixels }), maxPixels);
    const frameHeight = column.height / pages.length;
    const bytes = column.width * frameHeight * column.channels;
    for (const page of pages.keys()) {
      const data = column.data.subarray(page * bytes, (page + 1) * bytes);
      yield await orientFrame({ ...column, height: frameHeight, data }, orientation, signal);
    }
    return;
  }
  for (const page of pages) {
    signal?.throwIfAborted();
    const picture = openPicture(content, { maxPixels, ...(page > 0 && { pages: page }) });
    const upright = picture.autoOrient();
    yield header.isCmyk
      ? await readCmyk(upright, width * height, signal)
      : await readRaw(upright, width * height);
  }
}

/** Four inks as Pillow mixes them: each takes its share of the light that black lets through; no profile is asked. */
async function readCmyk(
  picture: ReturnType<typeof openPicture>,
  pixels: number,
  signal: AbortSignal | undefined,
): Promise<RawFrame> {
  const { data: inks, info } = await runNative(pixels, () =>
    picture
      .pipelineColourspace('cmyk')
      .toColourspace('cmyk')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true }),
  );
  const { width, height } = info;
  const data = new Uint8Array(width * height * 3);
  await inSlices(
    width * height,
    (start, end) => {
      for (let i = start; i < end; i += 1) {
        const light = 255 - (inks[i * 4 + 3] ?? 0);
        for (let c = 0; c < 3; c += 1) {
          data[i * 3 + c] = light - Math.round(((inks[i * 4 + c] ?? 0) * light) / 255);
        }
      }
    },
    signal,
  );
  return { width, height, channels: 3, data };
}

async function readRaw(picture: ReturnType<typeof openPicture>, pixels: number): Promise<RawFrame> {
  const { data, info } = await runNative(pixels, () =>
    picture.toColourspace('srgb').raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true }),
  );
  return {
    width: info.width,
    height: info.height,
    channels: info.channels,
    data,
  };
}

/**
 * Turns a frame upright (frames of an animation: libvips turns single pictures itself).
 * @param orientation 1 to 8 as in EXIF
 */
async function orientFrame(
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
