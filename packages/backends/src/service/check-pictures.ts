import type { ParamChange } from '@tiercel/contracts';
import { decodePicture, type ImageBatch } from '@tiercel/nodes';
import { AttemptError } from '../failures.ts';
import type { ImageRequest } from './image-service.ts';

/** Pictures as they were asked for, and what had to be done to them. */
export interface CheckedPictures {
  readonly pictures: readonly ImageBatch[];
  readonly changed: readonly ParamChange[];
}

/**
 * Decodes what a service answered and makes it the asked size.
 * @throws AttemptError bad_output when it is no picture, too few, or of one colour all over
 */
export async function checkPictures(
  files: readonly Uint8Array[],
  request: Pick<ImageRequest, 'width' | 'height' | 'batch'>,
  maxPixels: number,
): Promise<CheckedPictures> {
  const { width, height, batch } = request;
  if (files.length < batch) {
    throw new AttemptError('bad_output', `${files.length} pictures came, ${batch} were asked for`);
  }
  const changed: ParamChange[] = [];
  const pictures: ImageBatch[] = [];
  for (const file of files.slice(0, batch)) {
    const { picture, from } = await decode(file, request, maxPixels);
    if (isOneColour(picture)) {
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
  size: { width: number; height: number },
  maxPixels: number,
): ReturnType<typeof decodePicture> {
  try {
    return await decodePicture(file, size, maxPixels);
  } catch (cause) {
    throw new AttemptError('bad_output', 'the answer is not a picture', { cause });
  }
}

/** No model paints one colour: a refused or broken picture does look like that. */
function isOneColour({ frames, channels }: ImageBatch): boolean {
  const [frame] = frames;
  if (frame === undefined) return true;
  for (let i = channels; i < frame.length; i += 1) {
    if (frame[i] !== frame[i % channels]) return false;
  }
  return true;
}
