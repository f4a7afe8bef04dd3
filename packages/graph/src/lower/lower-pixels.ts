import { BROKEN, unsizedPixels, type GraphValue, type Pixels } from './graph-value.ts';
import { encodePair } from './lower-conditioning.ts';
import type { Handler } from './lower-values.ts';
import type { NodeReader } from './node-reader.ts';

/** A latent of Stable Diffusion is an eighth of its picture. */
const CELL = 8;
const MIN_UPSCALED_SIDE = 64;

const toCells = (side: number | undefined, cell = CELL) =>
  side === undefined ? undefined : Math.floor(side / cell) * cell;

/** @param cell pixels a side of one value of the latent: sizes are cut to multiples of it */
function makeEmpty(cell: number, origin: 'empty' | 'image' = 'empty'): Handler {
  return (node) => [
    {
      kind: 'pixels',
      width: toCells(node.knownNumber('width'), cell),
      height: toCells(node.knownNumber('height'), cell),
      batch: node.knownNumber('batch_size'),
      origin,
      masked: false,
      leftover: undefined,
    },
  ];
}

function encode(node: NodeReader, masked: boolean): Pixels {
  const picture = node.pixels('pixels');
  showLeftover(picture);
  const { width, height } = picture;
  return {
    ...picture,
    width: toCells(width),
    height: toCells(height),
    masked,
    leftover: undefined,
    origin: picture.origin === 'empty' ? 'image' : picture.origin,
  };
}

const inpaintModelConditioning: Handler = (node) => [
  node.conditioning('positive'),
  node.conditioning('negative'),
  // The mask is left out only when the graph says so.
  encode(node, readFlag(node, 'noise_mask') ?? true),
];

/** Starts from noise in the picture's size; the picture itself goes through the model. */
function editPicture(input: string): Handler {
  return (node) => {
    node.object('controlnet', 'edits a picture, which image services cannot');
    const picture = node.pixels(input);
    const scale = node.has('scale_ratio') ? node.knownNumber('scale_ratio') : 1;
    const grow = (side: number | undefined) =>
      side === undefined || scale === undefined ? undefined : toCells(Math.round(side * scale));
    const size = { width: grow(picture.width), height: grow(picture.height), batch: picture.batch };
    const latent: Pixels = { ...unsizedPixels('empty'), ...size };
    return [node.conditioning('positive'), node.conditioning('negative'), latent];
  };
}

/** Prompts and a latent of its own. A side of 0 is that of its first picture. */
const editFlow: Handler = (node) => {
  const side = (input: string) => node.knownNumber(input) || undefined;
  const size = { width: side('width'), height: side('height') };
  const latent = { ...unsizedPixels('empty'), ...size, batch: node.knownNumber('batch_size') };
  return [...encodePair(node), latent];
};

/** A picture and its layers, one after the other. */
const makeLayers: Handler = (node) => {
  const [empty] = makeEmpty(CELL)(node);
  const [layers, count] = [node.knownNumber('layers'), node.knownNumber('batch_size')];
  const batch = layers === undefined || count === undefined ? undefined : (layers + 1) * count;
  return [empty?.kind === 'pixels' ? { ...empty, batch } : BROKEN];
};

function readFlag(node: NodeReader, input: string): boolean | undefined {
  return node.has(input) ? node.boolean(input) : undefined;
}

const decode: Handler = (node) => {
  const latent = node.pixels('samples');
  showLeftover(latent);
  return [{ ...latent, masked: false, leftover: undefined, origin: toImage(latent) }];
};

/** Even an empty latent decodes to a picture. */
function toImage({ origin }: Pixels): Pixels['origin'] {
  return origin === 'empty' ? 'image' : origin;
}

/** Notes that a picture which may still have noise in it is used as it is. */
export function showLeftover(value: GraphValue): void {
  if (value.kind !== 'pixels' || value.leftover === undefined) return;
  value.leftover.isPictured = true;
  value.leftover.isShown = true;
}

const setMask: Handler = (node) => [{ ...node.pixels('samples'), masked: true }];

const upscaleLatent: Handler = (node) => {
  const latent = node.pixels('samples');
  const [width, height] = [node.knownNumber('width'), node.knownNumber('height')];
  if (width === 0 && height === 0) return [latent];
  const side = (own: number | undefined, mine?: number, other?: number, theirs?: number) => {
    if (own !== 0) return own;
    if (mine === undefined || other === undefined || theirs === undefined) return undefined;
    return Math.round((mine * theirs) / other);
  };
  const atLeast = (value: number | undefined) =>
    toCells(value === undefined ? undefined : Math.max(MIN_UPSCALED_SIDE, value));
  return [
    {
      ...latent,
      width: atLeast(side(width, latent.width, latent.height, height)),
      height: atLeast(side(height, latent.height, latent.width, width)),
    },
  ];
};

const upscaleLatentBy: Handler = (node) => {
  const latent = node.pixels('samples');
  const scale = node.knownNumber('scale_by');
  const grow = (side: number | undefined) =>
    side === undefined || scale === undefined
      ? undefined
      : Math.round((side / CELL) * scale) * CELL;
  return [{ ...latent, width: grow(latent.width), height: grow(latent.height) }];
};

const repeatLatent: Handler = (node) => {
  const latent = node.pixels('samples');
  const amount = node.knownNumber('amount');
  const { batch } = latent;
  return [
    { ...latent, batch: batch === undefined || amount === undefined ? undefined : batch * amount },
  ];
};

const takeFromBatch: Handler = (node) => {
  const latent = node.pixels('samples');
  const [index, length] = [node.knownNumber('batch_index'), node.knownNumber('length')];
  const { batch } = latent;
  const isKnown = batch !== undefined && index !== undefined && length !== undefined;
  const taken = isKnown ? Math.min(batch - Math.min(batch - 1, index), length) : undefined;
  return [{ ...latent, batch: taken }];
};

/** A side of 0 keeps the picture's shape, and then only the run tells. */
const scaleImage: Handler = (node) => {
  const picture = node.pixels('image');
  const [width, height] = [node.knownNumber('width'), node.knownNumber('height')];
  return [{ ...picture, width: width || undefined, height: height || undefined }];
};

/** Nodes of pictures and latents whose sizes can be told. The run itself is theirs. */
export const pixelHandlers: readonly (readonly [string, Handler])[] = [
  ['EmptyLatentImage', makeEmpty(CELL)],
  ['EmptySD3LatentImage', makeEmpty(CELL)],
  ['EmptyHunyuanImageLatent', makeEmpty(32)],
  ['EmptyChromaRadianceLatentImage', makeEmpty(1)],
  ['EmptyFlux2LatentImage', makeEmpty(16)],
  ['EmptyHiDreamO1LatentImage', makeEmpty(32)],
  ['EmptyQwenImageLayeredLatentImage', makeLayers],
  ['StableCascade_EmptyLatentImage', (node) => makeEmpty(CELL)(node).flatMap((x) => [x, x])],
  ['EmptyImage', makeEmpty(1, 'image')],
  ['ImageScale', scaleImage],
  ['VAEEncode', (node) => [encode(node, false)]],
  ['VAEEncodeTiled', (node) => [encode(node, false)]],
  ['VAEEncodeForInpaint', (node) => [encode(node, true)]],
  ['InpaintModelConditioning', inpaintModelConditioning],
  ['InstructPixToPixConditioning', editPicture('pixels')],
  ['SD_4XUpscale_Conditioning', editPicture('images')],
  ['TextEncodeMageFlowEdit', editFlow],
  ['SetLatentNoiseMask', setMask],
  ['LatentUpscale', upscaleLatent],
  ['LatentUpscaleBy', upscaleLatentBy],
  ['RepeatLatentBatch', repeatLatent],
  ['LatentFromBatch', takeFromBatch],
  ['VAEDecode', decode],
  ['VAEDecodeTiled', decode],
];
