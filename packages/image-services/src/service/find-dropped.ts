import type { ImageParam, ImageRequest } from './image-service.ts';

/** Parameters that a request gives and a service does not honour. */
export function findDropped(request: ImageRequest, honours: ReadonlySet<ImageParam>): ImageParam[] {
  const given: Record<ImageParam, boolean> = {
    negative: request.negative.trim() !== '',
    seed: request.seed !== undefined,
    steps: request.steps !== undefined,
    cfg: request.cfg !== undefined,
    guidance: request.guidance !== undefined,
    sampler: request.sampler !== undefined,
    scheduler: request.scheduler !== undefined,
    // A wrong size is made right here, several pictures are asked for one by one.
    size: false,
    batch: false,
    denoise: request.init !== undefined,
    init_image: request.init !== undefined,
    mask: request.mask !== undefined,
  };
  const params = Object.keys(given) as ImageParam[]; // the keys of the record above
  return params.filter((param) => given[param] && !honours.has(param));
}
