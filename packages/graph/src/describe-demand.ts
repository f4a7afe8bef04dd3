import type { JsonValue } from '@tiercel/contracts';
import type { GraphNode, GraphNodes } from './graph-nodes.ts';
import { sortBySources } from './walk-graph.ts';

/** What a prompt asks for, as plans limit it. */
export interface Demand {
  /** Each class that it names, and the first node of that class. */
  readonly classes: readonly { readonly name: string; readonly nodeId: string }[];
  /** Of the largest picture that a node is told to make. */
  readonly pixels: number;
  /** Pictures at once: the largest batch that a node is told to make. */
  readonly pictures: number;
  /** Whether a sampler is among its nodes: image services run nothing else. */
  readonly samples: boolean;
}

/** A link is followed through so many nodes that only hold a value. */
const MAX_LINKS = 16;
const MEGAPIXEL = 1024 * 1024;
/** What models enlarge by, nearly all of them. */
const UPSCALE_MODEL_FACTOR = 4;

/**
 * Reads what a prompt asks for from the values in it, and what comes of them along its links: who enlarges or repeats
 * a picture makes a larger one, or more. Texts count as the numbers that ComfyUI makes of them, links as the value of
 * the node that they come from when that only holds one (PrimitiveInt and its kin). What nodes find out while they run,
 * such as the size of a file, is not known here.
 */
export function describeDemand(nodes: GraphNodes): Demand {
  const classes = new Map<string, string>();
  for (const { nodeId, classType } of nodes.values()) {
    if (!classes.has(classType)) classes.set(classType, nodeId);
  }
  const made = new Map<string, Pictures>();
  let pixels = 0;
  let pictures = 1;
  for (const nodeId of sortBySources(nodes.keys(), (id) => nodes.get(id)?.sources ?? [])) {
    const node = nodes.get(nodeId);
    if (node === undefined) continue;
    const one = describePictures(node, made, (input) => readNumber(node.inputs[input], nodes));
    made.set(nodeId, one);
    // Sides that were worked out have digits after the point.
    pixels = Math.max(pixels, Math.round(one.width * one.height));
    pictures = Math.max(pictures, one.count);
  }
  return {
    classes: [...classes].map(([name, nodeId]) => ({ name, nodeId })),
    ...{ pixels, pictures },
    samples: [...classes.keys()].some((name) => name.includes('Sampler')),
  };
}

/** What a node gives; 0 for what is not known. */
interface Pictures {
  readonly width: number;
  readonly height: number;
  readonly count: number;
}

const NOTHING: Pictures = { width: 0, height: 0, count: 0 };
/** They are told of a size, and make nothing of it. */
const ONLY_TOLD = /^(?:CLIPTextEncode|Conditioning|ModelSampling)/;
/** Inputs through which pictures come; of a node without any, all. */
const PICTURE_INPUT = /image|latent|samples|pixels|mask|input|destination|source/i;

function describePictures(
  node: GraphNode,
  made: ReadonlyMap<string, Pictures>,
  read: (input: string) => number,
): Pictures {
  const { classType, links } = node;
  const named = links.filter(({ input }) => PICTURE_INPUT.test(input));
  const given = (named.length > 0 ? named : links)
    .map(({ from }) => made.get(from))
    .filter((one) => one !== undefined);
  let { width, height } = given.reduce(
    (most, one) => (one.width * one.height > most.width * most.height ? one : most),
    NOTHING,
  );
  const counts = given.map((one) => one.count);
  // ImageBatch, LatentBatch, BatchImagesNode and their kin put together what they are given.
  const isJoined = named.length > 0 && classType.includes('Batch');
  let count = isJoined
    ? counts.reduce((sum, each) => sum + Math.max(1, each), 0)
    : Math.max(0, ...counts);
  count = read('batch_size') || count;
  if (classType.startsWith('Repeat')) count = Math.max(1, count) * Math.max(1, read('amount'));
  if (ONLY_TOLD.test(classType)) return { width, height, count };

  const any = (...inputs: string[]): number => Math.max(...inputs.map(read));
  const scale = (factor: number): void => {
    [width, height] = [width * factor, height * factor];
  };
  /** Makes what is measured of the picture this large; one that is not known counts as a square. */
  const fit = (size: number, measure: (a: number, b: number) => number): void => {
    if (size === 0) return;
    if (width === 0 || height === 0) [width, height] = [size, size];
    else scale(size / measure(width, height));
  };
  scale(any('scale_by', 'resize_type.multiplier') || 1);
  if (classType === 'ImageUpscaleWithModel') scale(UPSCALE_MODEL_FACTOR);
  fit(any('largest_size', 'resize_type.longer_size'), Math.max);
  fit(read('resize_type.shorter_size'), Math.min);
  fit(Math.sqrt(any('megapixels', 'resize_type.megapixels') * MEGAPIXEL), (a, b) =>
    Math.sqrt(a * b),
  );
  const [toWidth, toHeight] = (['width', 'height'] as const).map((side) =>
    any(side, `target_${side}`, `resize_type.${side}`),
  ) as [number, number]; // one for each side
  if (toWidth > 0 && toHeight > 0) [width, height] = [toWidth, toHeight];
  else if (toWidth > 0) fit(toWidth, (a) => a);
  else fit(toHeight, (_, b) => b);
  if (width > 0 && height > 0) {
    width += read('left') + read('right');
    height += read('top') + read('bottom');
  }
  return { width, height, count };
}

/** 0 for what is no number, or not known before it runs. */
function readNumber(given: JsonValue | undefined, nodes: GraphNodes): number {
  let value = given;
  for (let links = 0; Array.isArray(value) && links < MAX_LINKS; links += 1) {
    value = nodes.get(String(value[0]))?.inputs.value;
  }
  const isNumeric =
    typeof value === 'number' || typeof value === 'bigint' || typeof value === 'string';
  const number = isNumeric ? Number(value) : 0;
  return number > 0 ? number : 0;
}
