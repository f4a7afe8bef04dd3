import { createPacer, inRows, inSlices, type Plane } from '@tiercel/pictures';
import { checkPixels } from '../image/create-image.ts';
import { createFrame, mapSamples, type FrameWork } from '../image/frame-work.ts';
import { cropFrames, layFrame, scaleImage } from '../image/scale-image.ts';
import { normalNumbers } from '../image/torch-random.ts';
import { type NodeDefinition, NodeError } from '../node-definition.ts';
import { readImage, readInteger, readNumber } from '../read-input.ts';
import type { ImageBatch } from '../values.ts';
import { declareNode } from './declare-node.ts';
import { dropAlpha } from './image-nodes.ts';
import { readList } from './list-nodes.ts';

/** Nodes for sets of pictures: of one size, in a grid, in tiles. */

interface Size {
  readonly width: number;
  readonly height: number;
}

/** Scaled so that its shorter (or longer) side is this. */
function scaleSide(
  classType: string,
  input: string,
  pick: (a: number, b: number) => number,
): NodeDefinition {
  return declareNode(classType, async (inputs, context) => {
    const image = readImage(inputs, 'images');
    const scale = readNumber(inputs, input) / pick(image.width, image.height);
    const [width, height] = [image.width, image.height].map((side) =>
      Math.max(1, Math.trunc(side * scale)),
    ) as [number, number]; // of two sides
    checkPixels(width, height, image.frames.length, context.maxPixels);
    const how = { width, height, method: 'lanczos', crop: 'disabled' } as const;
    return { outputs: [await scaleImage(image, how, context)] };
  });
}

const centerCrop = declareNode('CenterCropImages', async (inputs, context) => {
  const image = readImage(inputs, 'images');
  const width = Math.min(readNumber(inputs, 'width'), image.width);
  const height = Math.min(readNumber(inputs, 'height'), image.height);
  const x = Math.floor((image.width - width) / 2);
  const y = Math.floor((image.height - height) / 2);
  const frames = await cropFrames(image, { x, y, width, height }, context);
  return { outputs: [{ ...image, width, height, frames } satisfies ImageBatch] };
});

/** @param createChange of one sample, with the node's settings */
function changeSamples(
  classType: string,
  createChange: (read: (name: string) => number) => (sample: number) => number,
): NodeDefinition {
  return declareNode(classType, async (inputs, context) => {
    const image = readImage(inputs, 'images');
    const change = createChange((name) => readNumber(inputs, name));
    const frames = await mapSamples(image.frames, context, change);
    return { outputs: [{ ...image, frames } satisfies ImageBatch] };
  });
}

const MIDDLE = 0.5;
const clamp = (value: number) => Math.min(1, Math.max(0, value));

/** A grid of pictures, each fitted into its cell. */
const imageGrid = declareNode('ImageGrid', async (inputs, context) => {
  const pictures = readList(inputs, 'images').flatMap((value) => {
    const image = readImage({ value }, 'value');
    return image.frames.map((frame): ImageBatch => ({ ...image, frames: [frame] }));
  });
  const [first] = pictures;
  if (first === undefined)
    throw new NodeError('There is no picture.', { exceptionType: 'ValueError' });
  const read = (name: string) => readNumber({ value: readList(inputs, name)[0] }, 'value');
  const cell = { width: read('cell_width'), height: read('cell_height') };
  const padding = read('padding');
  const columns = Math.min(read('columns'), pictures.length);
  const rows = Math.ceil(pictures.length / columns);
  const width = columns * cell.width + (columns - 1) * padding;
  const height = rows * cell.height + (rows - 1) * padding;
  checkPixels(width, height, 1, context.maxPixels);
  const ground = {
    ...{ width, height, channels: 3 },
    samples: await createFrame(width * height * 3, context),
  };
  for (const [index, picture] of pictures.entries()) {
    const scale = Math.min(cell.width / picture.width, cell.height / picture.height);
    const [wide, high] = [picture.width, picture.height].map((side) =>
      Math.max(1, Math.trunc(side * scale)),
    ) as [number, number]; // of two sides
    const how = { width: wide, height: high, method: 'lanczos', crop: 'disabled' } as const;
    const fitted = await scaleImage(await dropAlpha(picture, context), how, context);
    const at = {
      left: (index % columns) * (cell.width + padding) + Math.floor((cell.width - wide) / 2),
      top:
        Math.floor(index / columns) * (cell.height + padding) +
        Math.floor((cell.height - high) / 2),
    };
    const [samples = new Float32Array()] = fitted.frames;
    await layFrame(ground, { ...fitted, samples }, at, context.signal);
  }
  const sketch = pictures.find((picture) => picture.sketch)?.sketch;
  const frames = [ground.samples];
  return {
    outputs: [{ kind: 'image', width, height, channels: 3, frames, sketch } satisfies ImageBatch],
  };
});

/** Noise of a seed, the same as torch's on a CPU. */
const addNoise = declareNode('ImageAddNoise', async (inputs, context) => {
  const image = readImage(inputs, 'image');
  const strength = readNumber(inputs, 'strength');
  const length = image.width * image.height * image.channels;
  const numbers = normalNumbers(readInteger(inputs, 'seed'), length * image.frames.length);
  const frames: Float32Array[] = [];
  for (const frame of image.frames) {
    const noisy = await createFrame(length, context);
    noisy.set(frame);
    frames.push(noisy);
  }
  const pace = createPacer(context.signal);
  const total = length * frames.length;
  let at = 0;
  for (const block of numbers) {
    // The last sixteen may overlap those before: they are drawn anew.
    at = Math.min(at, total - block.length);
    for (const [i, number] of block.entries()) {
      const place = at + i;
      const index = Math.floor(place / length);
      const original = image.frames[index]?.[place % length] ?? 0;
      const frame = frames[index];
      if (frame) frame[place % length] = clamp(original + strength * number);
    }
    at += block.length;
    const pause = pace();
    if (pause) await pause;
  }
  return { outputs: [{ ...image, frames } satisfies ImageBatch] };
});

interface Tile {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Tiles that overlap; the last of a row and of a column end where the picture does. */
function placeTiles(whole: Size, tile: Size, overlap: number): Tile[] {
  const starts = (side: number, length: number) => {
    const step = Math.max(1, length - overlap);
    const places: number[] = [];
    for (let at = 0; ; at += step) {
      const end = Math.min(at + length, side);
      places.push(Math.max(0, end - length));
      if (end >= side) return places;
    }
  };
  const width = Math.min(tile.width, whole.width);
  const height = Math.min(tile.height, whole.height);
  return starts(whole.height, height).flatMap((y) =>
    starts(whole.width, width).map((x) => ({ x, y, width, height })),
  );
}

const splitTiles = declareNode('SplitImageToTileList', async (inputs, context) => {
  const image = readImage(inputs, 'image');
  const tile = {
    width: readNumber(inputs, 'tile_width'),
    height: readNumber(inputs, 'tile_height'),
  };
  const tiles: ImageBatch[] = [];
  for (const box of placeTiles(image, tile, readNumber(inputs, 'overlap'))) {
    const frames = await cropFrames(image, box, context);
    tiles.push({ ...image, width: box.width, height: box.height, frames });
  }
  return { outputs: [tiles] };
});

/** The tiles of a picture put together; where they overlap, one fades into the other. */
const mergeTiles = declareNode('ImageMergeTileList', async (inputs, context) => {
  const tiles = readList(inputs, 'image_list').map((value) => readImage({ value }, 'value'));
  const [first] = tiles;
  if (first === undefined)
    throw new NodeError('There is no tile.', { exceptionType: 'ValueError' });
  const read = (name: string) => readNumber({ value: readList(inputs, name)[0] }, 'value');
  const whole = { width: read('final_width'), height: read('final_height') };
  const overlap = read('overlap');
  const places = placeTiles(whole, first, overlap);
  const { channels } = first;
  checkPixels(whole.width, whole.height, first.frames.length, context.maxPixels);
  const pixels = whole.width * whole.height;
  const frames: Float32Array[] = [];
  for (const index of first.frames.keys()) {
    const sum = await createFrame(pixels * channels, context);
    const weights = await createFrame(pixels, context);
    for (const [place, box] of places.entries()) {
      const tile = tiles[place];
      const samples = tile?.frames[index];
      if (tile === undefined || samples === undefined) continue;
      await addTile(
        { sum, weights, whole, channels },
        { ...tile, samples },
        { box, overlap },
        context,
      );
    }
    await inSlices(
      pixels,
      (start, end) => {
        for (let i = start; i < end; i += 1) {
          const weight = weights[i] ?? 0;
          if (weight === 0) continue;
          for (let c = 0; c < channels; c += 1) {
            sum[i * channels + c] = (sum[i * channels + c] ?? 0) / weight;
          }
        }
      },
      context.signal,
    );
    frames.push(sum);
  }
  return { outputs: [{ ...first, ...whole, frames } satisfies ImageBatch] };
});

interface TiledGround {
  readonly sum: Float32Array;
  readonly weights: Float32Array;
  readonly whole: Size;
  readonly channels: number;
}

/** Adds a tile to the sums of its pixels, each with a weight that falls towards edges that another tile overlaps. */
async function addTile(
  { sum, weights, whole, channels }: TiledGround,
  tile: Plane,
  { box, overlap }: { readonly box: Tile; readonly overlap: number },
  { signal }: FrameWork,
): Promise<void> {
  const weigh = (place: number, length: number, start: number, side: number) => {
    const before = start === 0 ? Infinity : place + 1;
    const behind = start + length >= side ? Infinity : length - place;
    return Math.min(1, Math.min(before, behind) / (overlap + 1));
  };
  const size = {
    width: Math.min(box.width, tile.width),
    height: Math.min(box.height, tile.height),
  };
  await inRows(
    size,
    (y) => {
      const down = weigh(y, box.height, box.y, whole.height);
      for (let x = 0; x < size.width; x += 1) {
        const weight = down * weigh(x, box.width, box.x, whole.width);
        const to = (box.y + y) * whole.width + box.x + x;
        weights[to] = (weights[to] ?? 0) + weight;
        for (let c = 0; c < channels; c += 1) {
          const value = tile.samples[(y * tile.width + x) * channels + c] ?? 0;
          sum[to * channels + c] = (sum[to * channels + c] ?? 0) + value * weight;
        }
      }
    },
    signal,
  );
}

/** Of a widget that draws a box, or of PrimitiveBoundingBox. */
function readBox(value: unknown): Tile {
  const box = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  const side = (name: string) => readNumber(box, name);
  return { x: side('x'), y: side('y'), width: side('width'), height: side('height') };
}

const cropV2 = declareNode('ImageCropV2', async (inputs, context) => {
  const image = readImage(inputs, 'image');
  const box = readBox(inputs.crop_region);
  const x = Math.min(box.x, image.width - 1);
  const y = Math.min(box.y, image.height - 1);
  const width = Math.min(box.width, image.width - x);
  const height = Math.min(box.height, image.height - y);
  const frames = await cropFrames(image, { x, y, width, height }, context);
  return { outputs: [{ ...image, width, height, frames } satisfies ImageBatch] };
});

export const pictureSetNodes: readonly NodeDefinition[] = [
  scaleSide('ResizeImagesByShorterEdge', 'shorter_edge', Math.min),
  scaleSide('ResizeImagesByLongerEdge', 'longer_edge', Math.max),
  centerCrop,
  cropV2,
  declareNode('PrimitiveBoundingBox', (inputs) => Promise.resolve({ outputs: [readBox(inputs)] })),
  changeSamples('NormalizeImages', (read) => {
    const [mean, deviation] = [read('mean'), read('std')];
    return (sample) => (sample - mean) / deviation;
  }),
  changeSamples('AdjustBrightness', (read) => {
    const factor = read('factor');
    return (sample) => clamp(sample * factor);
  }),
  changeSamples('AdjustContrast', (read) => {
    const factor = read('factor');
    return (sample) => clamp((sample - MIDDLE) * factor + MIDDLE);
  }),
  imageGrid,
  addNoise,
  splitTiles,
  mergeTiles,
];
