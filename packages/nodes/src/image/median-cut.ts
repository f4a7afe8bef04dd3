import { createPacer, inSlices } from '@tiercel/pictures';

/** More different colours than this are told apart less finely. */
const MAX_COLOURS = 65_536;
/** What a step of red, green and blue counts when the longest side of a box is looked for. */
const WEIGHTS = [77, 150, 29] as const;

/** Colours of a picture, `0xRRGGBB` each shifted right by `shift` a channel, and how many pixels have them. */
interface Histogram {
  readonly shift: number;
  readonly counts: ReadonlyMap<number, number>;
}

/** Colours that are still one. */
interface Box {
  readonly colours: readonly number[];
  readonly pixels: number;
}

/**
 * The palette that Pillow's median cut finds for a picture: the box with the most pixels is cut in two, at the middle
 * pixel along its longest side, until there are as many boxes as colours; each colour is the mean of its box.
 * @param rgb interleaved 8-bit samples
 * @param size at most so many colours
 * @returns interleaved 8-bit samples
 * @throws the reason of the signal
 */
export async function findPalette(
  rgb: Uint8Array,
  size: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const histogram = await countColours(rgb, signal);
  const boxes = await cutBoxes(histogram, size, signal);
  return averageBoxes(rgb, histogram.shift, boxes, signal);
}

async function countColours(rgb: Uint8Array, signal: AbortSignal): Promise<Histogram> {
  let shift = 0;
  let counts = new Map<number, number>();
  await inSlices(
    rgb.length / 3,
    (start, end) => {
      for (let i = start; i < end; i += 1) {
        const colour = packAt(rgb, i * 3, shift);
        counts.set(colour, (counts.get(colour) ?? 0) + 1);
        while (counts.size > MAX_COLOURS) {
          shift += 1;
          counts = coarsen(counts);
        }
      }
    },
    signal,
  );
  return { shift, counts };
}

function packAt(rgb: Uint8Array, at: number, shift: number): number {
  const red = (rgb[at] ?? 0) >> shift;
  const green = (rgb[at + 1] ?? 0) >> shift;
  return (red << 16) | (green << 8) | ((rgb[at + 2] ?? 0) >> shift);
}

/** The same with each channel halved. */
function coarsen(counts: ReadonlyMap<number, number>): Map<number, number> {
  const coarse = new Map<number, number>();
  for (const [colour, count] of counts) {
    const half = (colour >> 1) & 0x7f7f7f;
    coarse.set(half, (coarse.get(half) ?? 0) + count);
  }
  return coarse;
}

/** The boxes in the order of Pillow's palette: of two halves, the brighter one first. */
async function cutBoxes(
  { counts }: Histogram,
  size: number,
  signal: AbortSignal,
): Promise<readonly Box[]> {
  interface Branch extends Box {
    halves?: readonly [Branch, Branch];
  }
  let pixels = 0;
  for (const count of counts.values()) pixels += count;
  const root: Branch = { colours: [...counts.keys()], pixels };
  const largest = createMaxHeap<Branch>((box) => box.pixels);
  largest.push(root);
  const pace = createPacer(signal);
  for (let boxes = 1; boxes < size; boxes += 1) {
    let box = largest.pop();
    while (box !== undefined && box.colours.length === 1) box = largest.pop();
    if (box === undefined) break;
    const halves = cutBox(box, counts);
    box.halves = halves;
    largest.push(halves[0]);
    largest.push(halves[1]);
    const pause = pace();
    if (pause) await pause;
  }
  const leaves: Box[] = [];
  const stack: Branch[] = [root];
  for (let box = stack.pop(); box !== undefined; box = stack.pop()) {
    if (box.halves) stack.push(box.halves[1], box.halves[0]);
    else leaves.push(box);
  }
  return leaves;
}

function cutBox(box: Box, counts: ReadonlyMap<number, number>): [Box, Box] {
  const axis = findLongestSide(box.colours);
  const offset = 16 - 8 * axis;
  const pixelsAt = new Uint32Array(256);
  for (const colour of box.colours) {
    const value = (colour >> offset) & 0xff;
    pixelsAt[value] = (pixelsAt[value] ?? 0) + (counts.get(colour) ?? 0);
  }
  // From the bright end on until more than half of the pixels are passed; what is as bright stays together.
  const values = [...pixelsAt.keys()].filter((value) => pixelsAt[value]).reverse();
  let limit = 0;
  let pixels = 0;
  for (const value of values.slice(0, -1)) {
    limit = value;
    pixels += pixelsAt[value] ?? 0;
    if (pixels * 2 > box.pixels) break;
  }
  const isBright = (colour: number) => ((colour >> offset) & 0xff) >= limit;
  return [
    { colours: box.colours.filter(isBright), pixels },
    { colours: box.colours.filter((colour) => !isBright(colour)), pixels: box.pixels - pixels },
  ];
}

/** 0 for red, 1 for green, 2 for blue. */
function findLongestSide(colours: readonly number[]): number {
  const low = [255, 255, 255];
  const high = [0, 0, 0];
  for (const colour of colours) {
    for (let c = 0; c < 3; c += 1) {
      const value = (colour >> (16 - 8 * c)) & 0xff;
      if (value < (low[c] ?? 0)) low[c] = value;
      if (value > (high[c] ?? 0)) high[c] = value;
    }
  }
  const lengths = WEIGHTS.map((weight, c) => weight * ((high[c] ?? 0) - (low[c] ?? 0)));
  return lengths.indexOf(Math.max(...lengths));
}

async function averageBoxes(
  rgb: Uint8Array,
  shift: number,
  boxes: readonly Box[],
  signal: AbortSignal,
): Promise<Uint8Array> {
  const boxOf = new Map<number, number>();
  for (const [index, { colours }] of boxes.entries()) {
    for (const colour of colours) boxOf.set(colour, index);
  }
  const sums = new Float64Array(boxes.length * 3);
  await inSlices(
    rgb.length / 3,
    (start, end) => {
      for (let i = start; i < end; i += 1) {
        const box = boxOf.get(packAt(rgb, i * 3, shift)) ?? 0;
        for (let c = 0; c < 3; c += 1) {
          sums[box * 3 + c] = (sums[box * 3 + c] ?? 0) + (rgb[i * 3 + c] ?? 0);
        }
      }
    },
    signal,
  );
  return Uint8Array.from(sums, (sum, i) =>
    Math.floor(0.5 + sum / (boxes[Math.floor(i / 3)]?.pixels ?? 1)),
  );
}

/** Of equal ones, which comes first is Pillow's choice: it decides which box stays whole when no colour is left. */
function createMaxHeap<T>(weigh: (item: T) => number) {
  const heap: T[] = [];
  const weightAt = (index: number) => {
    const item = heap[index];
    return item === undefined ? -Infinity : weigh(item);
  };
  return {
    push(item: T): void {
      let child = heap.length;
      heap.push(item);
      while (child > 0) {
        const parent = (child - 1) >> 1;
        const above = heap[parent];
        if (above === undefined || weigh(above) >= weigh(item)) break;
        heap[child] = above;
        child = parent;
      }
      heap[child] = item;
    },
    pop(): T | undefined {
      const [top] = heap;
      const last = heap.pop();
      if (last === undefined || heap.length === 0) return top;
      let place = 0;
      for (;;) {
        let child = place * 2 + 1;
        if (weightAt(child + 1) > weightAt(child)) child += 1;
        const below = heap[child];
        if (below === undefined || weigh(last) > weigh(below)) break;
        heap[place] = below;
        place = child;
      }
      heap[place] = last;
      return top;
    },
  };
}
