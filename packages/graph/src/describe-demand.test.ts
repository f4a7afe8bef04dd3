import { expect, test } from '@jest/globals';
import { describeDemand } from './describe-demand.ts';
import { readNodes } from './graph-nodes.ts';

const describe = (prompt: Parameters<typeof readNodes>[0]) => describeDemand(readNodes(prompt));
const node = (class_type: string, inputs = {}) => ({ class_type, inputs });

test('the largest picture and batch count, and every class', () => {
  expect(
    describe({
      '1': node('EmptyLatentImage', { width: 1000, height: 2000, batch_size: 3 }),
      '2': node('RepeatLatentBatch', { samples: ['1', 0], amount: 4 }),
      '3': node('ImageScale', { width: 10, height: 10, amount: 100 }),
    }),
  ).toEqual({
    classes: [
      { name: 'EmptyLatentImage', nodeId: '1' },
      { name: 'RepeatLatentBatch', nodeId: '2' },
      { name: 'ImageScale', nodeId: '3' },
    ],
    ...{ pixels: 2_000_000, pictures: 12, samples: false },
  });
});

test('a number is one however it is written, and wherever it comes from', () => {
  const { pixels, pictures } = describe({
    '1': node('EmptyLatentImage', { width: '9000', height: ['2', 0], batch_size: ' 7 ' }),
    '2': node('Reroute', { value: ['3', 0] }),
    '3': node('PrimitiveInt', { value: 2_000_000 }),
  });
  expect([pixels, pictures]).toEqual([9000 * 2_000_000, 7]);
});

test.each(['KSampler', 'KSamplerAdvanced', 'SamplerCustomAdvanced'])('%s samples', (name) => {
  expect(describe({ '1': node(name) }).samples).toBe(true);
});

test('links in a circle, nodes that are none, and values that are none ask for nothing', () => {
  const prompt = {
    '1': node('A', { width: ['2', 0], height: 'high', batch_size: -3 }),
    '2': node('B', { value: ['2', 0] }),
    ...{ '3': null, '4': 'x', '5': { class_type: 'C' } },
  };
  expect(describe(prompt)).toMatchObject({ pixels: 0, pictures: 1 });
  expect(describe([])).toEqual({ classes: [], pixels: 0, pictures: 1, samples: false });
});

const empty = (width: number, height = width, batch_size = 1) =>
  node('EmptyLatentImage', { width, height, batch_size });

test.each<[string, object, number]>([
  ['LatentUpscaleBy', { samples: ['1', 0], scale_by: 1.5 }, 768 * 384],
  ['ImageScaleBy', { image: ['1', 0], scale_by: ['9', 0] }, 1024 * 512],
  ['ImageUpscaleWithModel', { upscale_model: ['8', 0], image: ['1', 0] }, 2048 * 1024],
  ['ImageScaleToMaxDimension', { image: ['1', 0], largest_size: 4096 }, 4096 * 2048],
  ['ImageScaleToTotalPixels', { image: ['1', 0], megapixels: 4 }, 4 * 1024 * 1024],
  ['ResizeAndPadImage', { image: ['1', 0], target_width: 900, target_height: 800 }, 900 * 800],
  ['ResizeImageMaskNode', { input: ['1', 0], 'resize_type.multiplier': 8 }, 4096 * 2048],
  ['ResizeImageMaskNode', { input: ['1', 0], 'resize_type.longer_size': 1024 }, 1024 * 512],
  ['ResizeImageMaskNode', { input: ['1', 0], 'resize_type.shorter_size': 1024 }, 2048 * 1024],
  ['ResizeImageMaskNode', { input: ['1', 0], 'resize_type.height': 1024 }, 2048 * 1024],
  ['ImagePadForOutpaint', { image: ['1', 0], left: 512, top: 256, right: 0 }, 1024 * 512],
  ['ImageScale', { image: ['1', 0], width: 1024, height: 0 }, 1024 * 512],
])('what %s makes of a picture counts', (name, inputs, pixels) => {
  const prompt = {
    '1': empty(512, 256),
    '2': node(name, inputs),
    '9': node('PrimitiveFloat', { value: 2 }),
  };
  expect(describe(prompt).pixels).toBe(pixels);
});

test('what is enlarged again and again is as large as that, and what is beside it is not', () => {
  const prompt = {
    '1': empty(100),
    '2': node('ImageScaleBy', { image: ['3', 0], scale_by: 4 }),
    '3': node('VAEDecode', { samples: ['4', 0], vae: ['7', 2] }),
    '4': node('KSampler', { latent_image: ['5', 0], positive: ['6', 0], model: ['7', 0] }),
    '5': node('LatentUpscaleBy', { samples: ['1', 0], scale_by: 2 }),
    '6': node('ControlNetApply', { conditioning: ['7', 1], image: ['8', 0] }),
    '7': node('CheckpointLoaderSimple', { ckpt_name: 'a' }),
    '8': empty(200),
  };
  expect(describe(prompt).pixels).toBe(800 * 800);
});

test('batches are repeated and joined', () => {
  const prompt = {
    '1': empty(8, 8, 2),
    '2': node('RepeatLatentBatch', { samples: ['1', 0], amount: 3 }),
    '3': node('RepeatLatentBatch', { samples: ['2', 0], amount: 3 }),
    '4': node('LatentBatch', { samples1: ['3', 0], samples2: ['1', 0] }),
    '5': node('LoadImage', { image: 'a.png' }),
    '6': node('ImageBatch', { image1: ['5', 0], image2: ['5', 0] }),
    '7': node('ImageBatch', { image1: ['6', 0], image2: ['6', 0] }),
  };
  expect(describe(prompt).pictures).toBe(20);
  expect(describe({ '5': prompt['5'], '6': prompt['6'], '7': prompt['7'] }).pictures).toBe(4);
});

test('a size that a text or a model is told of is none of a picture', () => {
  const prompt = {
    '1': empty(64),
    '2': node('CLIPTextEncodeSDXL', { width: 4096, height: 4096, target_width: 4096 }),
    '3': node('ModelSamplingFlux', { model: ['4', 0], width: 4096, height: 4096 }),
    '5': node('ResolutionSelector', { megapixels: 1 }),
    '6': node('EmptyLatentImage', { width: ['5', 0], height: ['5', 1], batch_size: 1 }),
  };
  expect(describe(prompt).pixels).toBe(1024 * 1024);
});

test('a chain longer than the stack is deep', () => {
  const chain = Array.from({ length: 20_000 }, (_, n) => [
    `${n}`,
    n === 0 ? empty(10) : node('ImageInvert', { image: [`${n - 1}`, 0] }),
  ]);
  expect(describe(Object.fromEntries(chain.reverse())).pixels).toBe(100);
});
