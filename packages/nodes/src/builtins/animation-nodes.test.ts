import { describe, expect, test } from '@jest/globals';
import type { PromptGraph } from '@tiercel/contracts';
import sharp from 'sharp';
import { createBench } from '../executor/test-run.ts';

/** Two frames, red and blue, 12 by 8; a third one equal to the second. */
function createGraph(classType: string, settings: Record<string, unknown>): PromptGraph {
  const color = (value: number) => ({
    class_type: 'EmptyImage',
    inputs: { width: 12, height: 8, batch_size: 1, color: value },
  });
  const batch = (a: string, b: string) => ({
    class_type: 'ImageBatch',
    inputs: { image1: [a, 0], image2: [b, 0] },
  });
  const graph = {
    red: color(0xff0000),
    blue: color(0x0000ff),
    same: color(0x0000ff),
    two: batch('red', 'blue'),
    three: batch('two', 'same'),
    save: {
      class_type: classType,
      inputs: { images: ['three', 0], filename_prefix: 'moving/x', fps: 8, ...settings },
    },
  };
  return graph;
}

const webp = { lossless: true, quality: 80, method: 'default' };
const workflow = { extraPnginfo: '{"workflow": {"nodes": [], "title": "füße"}}' };

async function save(classType: string, settings: Record<string, unknown>) {
  const bench = createBench();
  await bench.run(createGraph(classType, settings), ['save'], workflow);
  expect(bench.saved).toHaveLength(1);
  const [file] = bench.saved;
  return { bench, file: file! };
}

/** The chunks of a PNG: four letters and their data. */
function readChunks(png: Uint8Array): [type: string, data: Buffer][] {
  const bytes = Buffer.from(png);
  const chunks: [string, Buffer][] = [];
  for (let at = 8; at < bytes.length;) {
    const length = bytes.readUInt32BE(at);
    chunks.push([
      bytes.toString('latin1', at + 4, at + 8),
      bytes.subarray(at + 8, at + 8 + length),
    ]);
    at += length + 12;
  }
  return chunks;
}

describe('SaveAnimatedWEBP', () => {
  test('writes one file of all pictures, and says that it moves', async () => {
    const { bench, file } = await save('SaveAnimatedWEBP', webp);
    expect(bench.shown.get('save')).toMatchObject({
      images: [{ type: 'output' }],
      animated: [true],
    });
    expect(file).toMatchObject({ prefix: 'moving/x', extension: '.webp', width: 12, height: 8 });
    const { pages, delay, loop } = await sharp(file.bytes).metadata();
    expect({ pages, loop }).toEqual({ pages: 2, loop: 0 });
    // A frame that comes again is shown longer.
    expect(delay).toEqual([125, 250]);
    const { data } = await sharp(file.bytes, { page: 1 })
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect([...data.subarray(0, 3)]).toEqual([0, 0, 255]);
  });

  test('has the prompt and the workflow in its EXIF, where frontends look for them', async () => {
    const { file } = await save('SaveAnimatedWEBP', { ...webp, lossless: false });
    const { exif } = await sharp(file.bytes).metadata();
    const text = exif!.toString('utf8');
    expect(text).toContain('prompt:{"red": {"class_type": "EmptyImage"');
    expect(text).toContain('workflow:{"nodes": [], "title": "f\\u00fc\\u00dfe"}');
    expect(Buffer.from(file.bytes).readUInt32LE(4)).toBe(file.bytes.length - 8);
  });

  test('of a single picture is a still one with the same EXIF', async () => {
    const graph = createGraph('SaveAnimatedWEBP', webp);
    const bench = createBench();
    const inputs = { ...graph.save!.inputs, images: ['red', 0] as const };
    await bench.run({ ...graph, save: { ...graph.save!, inputs } }, ['save']);
    const { width, height, exif } = await sharp(bench.saved[0]!.bytes).metadata();
    expect({ width, height }).toEqual({ width: 12, height: 8 });
    expect(exif!.toString('utf8')).toContain('prompt:');
  });
});

describe('SaveAnimatedPNG', () => {
  test('shows a frame that comes again longer, and keeps the texts behind the pixels', async () => {
    const { bench, file } = await save('SaveAnimatedPNG', { compress_level: 4 });
    expect(bench.shown.get('save')).toMatchObject({
      images: [{ type: 'output' }],
      animated: [true],
    });
    const chunks = readChunks(file.bytes);
    const types = chunks.map(([type]) => type);
    expect(types.filter((type) => type !== 'IDAT' && type !== 'fdAT')).toEqual([
      ...['IHDR', 'acTL', 'fcTL', 'fcTL', 'comf', 'comf', 'IEND'],
    ]);
    const delays = chunks
      .filter(([type]) => type === 'fcTL')
      .map(([, data]) => data.readUInt16BE(20) / data.readUInt16BE(22));
    expect(delays).toEqual([0.125, 0.25]);
    const texts = chunks.filter(([type]) => type === 'comf').map(([, data]) => data.toString());
    expect(texts[0]).toContain('prompt\0{"red"');
    expect(texts[1]).toContain('workflow\0{"nodes": []');
  });

  test('is read back frame by frame', async () => {
    const { file } = await save('SaveAnimatedPNG', { compress_level: 0, fps: 0.01 });
    const bench = createBench();
    bench.inputs.set('moving.png', file.bytes);
    const graph = {
      load: { class_type: 'LoadImage', inputs: { image: 'moving.png' } },
      save: { class_type: 'SaveImage', inputs: { images: ['load', 0], filename_prefix: 'y' } },
    };
    await bench.run(graph, ['save']);
    const pixels = await Promise.all(
      bench.saved.map(async ({ bytes }) => [
        ...(await sharp(bytes).raw().toBuffer()).subarray(0, 3),
      ]),
    );
    expect(pixels).toEqual([
      [255, 0, 0],
      [0, 0, 255],
    ]);
  });
});
