import { describeDemand, type GraphAnalysis } from '@tiercel/graph';

export interface Pictures {
  readonly images: number;
  /** Of all together. */
  readonly pixels: number;
}

/** Of a picture whose size the graph does not tell. */
const UNKNOWN_PIXELS = 1024 * 1024;

/** The pictures that an image service is asked for: those of each sampling. */
export function expectFromService({ lowering, nodes }: GraphAnalysis): Pictures {
  const { pixels: largest, pictures: most } = describeDemand(nodes);
  let images = 0;
  let pixels = 0;
  for (const { request } of lowering.stages) {
    const { width, height, batch = most } = request;
    const isKnown = width !== undefined && height !== undefined;
    images += batch;
    pixels += batch * (isKnown ? width * height : largest || UNKNOWN_PIXELS);
  }
  return { images, pixels };
}

/** The picture files that the output nodes of a graph give. */
export function expectFromOutputs(
  { nodes }: GraphAnalysis,
  outputIds: readonly string[],
): Pictures {
  const { pixels, pictures } = describeDemand(nodes);
  const shown = outputIds.filter((id) => {
    const { inputs } = nodes.get(id) ?? {};
    return inputs !== undefined && 'images' in inputs;
  });
  const images = Math.max(1, shown.length) * pictures;
  return { images, pixels: images * (pixels || UNKNOWN_PIXELS) };
}
