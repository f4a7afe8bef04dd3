import type { Plane } from '../image/interpolate.ts';
import { cropPlane } from '../image/scale-image.ts';

/** Latents are an eighth of the picture, so its sides are multiples of this. */
export const CELL = 8;

/** A side in pixels, cut to whole cells. */
export const toCells = (pixels: number, cell = CELL) => Math.floor(pixels / cell) * cell;

/** The middle of a picture, cut to whole cells as ComfyUI does. */
export function cropToCells(plane: Plane): Plane {
  const [width, height] = [toCells(plane.width), toCells(plane.height)];
  const x = Math.floor((plane.width % CELL) / 2);
  const y = Math.floor((plane.height % CELL) / 2);
  return cropPlane(plane, { x, y, width, height });
}
