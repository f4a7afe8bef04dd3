import { interpolate } from './image/interpolate.ts';
import { encodePng } from './image/png.ts';
import { NodeError } from './node-error.ts';
import { renderLatent } from './sketch/render-latent.ts';
import type { ImageBatch, Latent } from './values.ts';

/** Fast: the file only travels to a service. */
const PNG_LEVEL = 1;

/** The pictures that a latent holds, as PNG files of its size. */
export async function renderPngs(latent: Latent): Promise<Uint8Array[]> {
  const { width, height, frames } = latent;
  const files: Uint8Array[] = [];
  for (const layers of frames) {
    const samples = await renderLatent(layers, width, height);
    const data = Uint8Array.from(samples, toByte);
    files.push(await encodePng({ width, height, channels: 3, data }, { level: PNG_LEVEL }));
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

function toByte(sample: number): number {
  return Math.round(Math.min(1, Math.max(0, sample)) * 255);
}

/** The mask of a latent as a PNG file of its size: white where the picture is to be painted anew. */
export async function renderMaskPng(latent: Latent): Promise<Uint8Array | undefined> {
  const { width, height, mask } = latent;
  const [samples] = mask?.frames ?? [];
  if (mask === undefined || samples === undefined) return undefined;
  const fitted = await interpolate(
    { width: mask.width, height: mask.height, channels: 1, samples },
    width,
    height,
    'bilinear',
  );
  const data = Uint8Array.from(fitted, toByte);
  return encodePng({ width, height, channels: 1, data }, { level: PNG_LEVEL });
}
