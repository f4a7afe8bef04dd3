import type { ParamChange } from '@tiercel/contracts';
import type { FrameWork, ImageBatch } from '@tiercel/nodes';
import { decodeFitted, inSlices, PictureError, toSamples } from '@tiercel/pictures';
import { AttemptError } from '@tiercel/routing';
import type { ImageRequest } from './image-service.ts';

/** Pictures as they were asked for, and what had to be done to them. */
export interface CheckedPictures {
  readonly pictures: readonly ImageBatch[];
  readonly changed: readonly ParamChange[];
}

/** What decoding an answer may take. */
export interface CheckLimits extends FrameWork {
  /** The largest picture that is decoded. */
  readonly maxPixels: number;
}

/**
 * Decodes what a service answered and makes it the asked size.
 * @throws AttemptError bad_output when it is no picture, too few, or of one colour all over; MemoryLimitError; the
 *         reason of the signal
 */
export async function checkPictures(
  files: readonly Uint8Array[],
  request: Pick<ImageRequest, 'width' | 'height' | 'batch'>,
  limits: CheckLimits,
): Promise<CheckedPictures> {
  const { width, height, batch } = request;
  if (files.length < batch) {
    throw new AttemptError('bad_output', `${files.length} pictures came, ${batch} were asked for`);
  }
  const changed: ParamChange[] = [];
  const pictures: ImageBatch[] = [];
  for (const file of files.slice(0, batch)) {
    const { picture, from } = await decode(file, request, limits);
    if (await isOneColour(picture, limits.signal)) {
      throw new AttemptError('bad_output', 'the picture is of one colour all over');
    }
    if (changed.length === 0 && (from.width !== width || from.height !== height)) {
      const used = `${from.width}x${from.height}, resized`;
      changed.push({ param: 'size', asked: `${width}x${height}`, used });
    }
    pictures.push(picture);
  }
  return { pictures, changed };
}

async function decode(
  file: Uint8Array,
  size: { readonly width: number; readonly height: number },
  { maxPixels, reserveMemory, signal }: CheckLimits,
): Promise<{ picture: ImageBatch; from: { width: number; height: number } }> {
  const { width, height } = size;
  try {
    const { frame, from } = await decodeFitted({ name: 'the answer', content: file }, size, {
      limits: { maxPixels, setting: 'worker.maxPixels' },
      reserve: reserveMemory,
    });
    const { data } = frame;
    await reserveMemory(data.length * Float32Array.BYTES_PER_ELEMENT);
    const frames = [await toSamples(data, signal)];
    return { picture: { kind: 'image', width, height, channels: 3, frames }, from };
  } catch (cause) {
    if (cause instanceof PictureError)
      throw new AttemptError('bad_output', cause.message, { cause });
    throw cause;
  }
}

/** No model paints one colour: a refused or broken picture does look like that. */
async function isOneColour(
  { frames, channels }: ImageBatch,
  signal: AbortSignal,
): Promise<boolean> {
  const [frame] = frames;
  if (frame === undefined) return true;
  let isUniform = true;
  await inSlices(
    frame.length,
    (start, end) => {
      for (let i = start; i < end && isUniform; i += 1) {
        if (frame[i] !== frame[i % channels]) isUniform = false;
      }
    },
    signal,
  );
  return isUniform;
}
