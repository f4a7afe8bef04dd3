import { inSlices } from '@tiercel/pictures';
import { makeFrames, type FrameWork } from '../image/frame-work.ts';
import { scaleFrames, type ScaleOptions } from '../image/scale-image.ts';
import type { ImageBatch, MaskBatch } from '../values.ts';

/** A mask as a grey picture. @throws as makeFrames */
export async function spreadMask(mask: MaskBatch, work: FrameWork): Promise<ImageBatch> {
  const { width, height } = mask;
  const frames = await makeFrames(mask.frames, width * height * 3, work, (frame, rgb) =>
    inSlices(
      frame.length,
      (start, end) => {
        for (let i = start; i < end; i += 1) {
          const value = frame[i] ?? 0;
          for (let c = 0; c < 3; c += 1) rgb[i * 3 + c] = value;
        }
      },
      work.signal,
    ),
  );
  return { kind: 'image', width, height, channels: 3, frames };
}

/** A mask scaled as each channel of a picture is; the mask itself when it has that size. @throws as scaleImage */
export async function scaleMask(
  mask: MaskBatch,
  options: ScaleOptions,
  work: FrameWork,
): Promise<MaskBatch> {
  const { width, height } = options;
  if (mask.width === width && mask.height === height) return mask;
  return { kind: 'mask', width, height, frames: await scaleFrames(mask, options, work) };
}

/** The frames of a mask, as large as a picture; its own when it is that already. @throws as scaleImage */
export async function stretchMask(
  mask: MaskBatch,
  { width, height }: { readonly width: number; readonly height: number },
  work: FrameWork,
): Promise<readonly Float32Array[]> {
  const options = { width, height, method: 'bilinear', crop: 'disabled' } as const;
  return (await scaleMask(mask, options, work)).frames;
}
