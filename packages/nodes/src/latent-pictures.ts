import { encodePng, inSlices, interpolate } from '@tiercel/pictures';
import { SAMPLE_BYTES, type FrameWork } from './image/frame-work.ts';
import { NodeError } from './node-definition.ts';
import { renderLatent } from './sketch/render-latent.ts';
import type { ImageBatch, Latent } from './values.ts';

/** Fast: the file only travels to a service. */
const PNG_LEVEL = 1;

/** The pictures that a latent holds, as PNG files of its size. @throws MemoryLimitError; the reason of the signal */
export async function renderPngs(latent: Latent, work: FrameWork): Promise<Uint8Array[]> {
  const { width, height, frames } = latent;
  const files: Uint8Array[] = [];
  for (const layers of frames) {
    const data = await renderLatent(layers, { width, height }, work);
    files.push(await encodeFile({ width, height, channels: 3, data }, work));
  }
  return files;
}

/** A latent that holds these pictures; all are of one size. */
export function joinPictures(pictures: readonly ImageBatch[]): Latent {
  const [first] = pictures;
  if (first === undefined) {
    throw new NodeError('There is no picture.', { exceptionType: 'ValueError' });
  }
  const { width, height } = first;
  const frames = pictures.flatMap(({ frames: samples }) =>
    samples.map((frame) => [{ kind: 'pixels', width, height, samples: frame } as const]),
  );
  return { kind: 'latent', width, height, frames };
}

/** The mask of a latent as a PNG file of its size: white where the picture is to be painted anew. */
export async function renderMaskPng(
  latent: Latent,
  work: FrameWork,
): Promise<Uint8Array | undefined> {
  const { width, height, mask } = latent;
  const [samples] = mask?.frames ?? [];
  if (mask === undefined || samples === undefined) return undefined;
  await work.reserveMemory(width * height * SAMPLE_BYTES);
  const plane = { width: mask.width, height: mask.height, channels: 1, samples };
  const data = await interpolate(plane, width, height, 'bilinear', work.signal);
  return encodeFile({ width, height, channels: 1, data }, work);
}

async function encodeFile(
  image: { width: number; height: number; channels: 1 | 3; data: Float32Array },
  { reserveMemory, signal }: FrameWork,
): Promise<Uint8Array> {
  const { length } = image.data;
  // Bytes; and the file, at worst as large, once more while its parts are joined.
  await reserveMemory(3 * length);
  const data = new Uint8Array(length);
  const { max, min, round } = Math; // bound once: a look-up in every turn is slow inside vm contexts (Jest)
  await inSlices(
    length,
    (start, end) => {
      for (let i = start; i < end; i += 1) {
        data[i] = round(min(1, max(0, image.data[i] ?? 0)) * 255);
      }
    },
    signal,
  );
  return encodePng({ ...image, data }, { level: PNG_LEVEL, signal });
}
