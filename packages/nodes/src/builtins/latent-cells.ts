import type { Plane } from '@tiercel/pictures';
import type { FrameWork } from '../image/frame-work.ts';
import { cropPlane } from '../image/scale-image.ts';

/** Latents are an eighth of the picture, so its sides are multiples of this. */
export const CELL = 8;

/** A side in pixels, cut to whole cells. */
export const toCells = (pixels: number, cell = CELL) => Math.floor(pixels / cell) * cell;

/** The middle of a picture, in whole cells as ComfyUI cuts it. */
export function findCells(size: { readonly width: number; readonly height: number }) {
  return {
    x: Math.floor((size.width % CELL) / 2),
    y: Math.floor((size.height % CELL) / 2),
    width: toCells(size.width),
    height: toCells(size.height),
  };
}

/** A picture cut to whole cells. @throws as cropPlane */
export function cropToCells(plane: Plane, work: FrameWork): Promise<Plane> {
  return cropPlane(plane, findCells(plane), work);
}
