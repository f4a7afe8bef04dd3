import { describe, expect, test } from '@jest/globals';
import { createBench, empty, preview, save, invert, scale, started } from './test-run.ts';

describe('order', () => {
  const chain = (width: number) => ({
    '1': empty({ width: 64, height: 48, batch_size: 2, color: 65280 }),
    '2': scale('1', width),
    '3': invert('2'),
    '4': preview('3'),
    '5': save('2'),
  });

  test('is that of wire 5.2: a ready output node runs first', async () => {
    const bench = createBench();
    const result = await bench.run(chain(40), ['4', '5']);
    expect(bench.log).toEqual([
      'cached ',
      ...['started 1', 'finished 1', 'started 2', 'finished 2'],
      ...['started 5', 'executed 5', 'finished 5'],
      ...['started 3', 'finished 3', 'started 4', 'executed 4', 'finished 4'],
    ]);
    expect(result.outputs['5']).toEqual({
      images: [
        { filename: 'a_00001_.png', subfolder: '', type: 'output' },
        { filename: 'a_00002_.png', subfolder: '', type: 'output' },
      ],
    });
    expect(result.meta['4']).toEqual({
      node_id: '4',
      display_node: '4',
      parent_node: null,
      real_node_id: '4',
    });
    expect(result.executed).toEqual(['1', '2', '5', '3', '4']);
    expect(result.sketch).toBe(false);
  });

  test('is that of wire 5.5: what did not change comes from the cache', async () => {
    const bench = createBench();
    await bench.run(chain(40), ['4', '5']);
    await bench.run(chain(44), ['4', '5']);
    expect(bench.log[0]).toBe('cached 1');
    expect(started(bench.log)).toEqual(['2', '5', '3', '4']);
  });

  test('is that of wire 5.4: a fully cached prompt only reports its output nodes', async () => {
    const bench = createBench();
    const graph = { '1': empty(), '2': save('1', 'rec') };
    const first = await bench.run(graph, ['2']);
    const second = await bench.run(graph, ['2']);
    expect(bench.log).toEqual(['cached 1,2', 'executed 2 from cache', 'finished 2']);
    expect(second.outputs).toEqual(first.outputs);
    expect(second.executed).toEqual([]);
    expect(bench.saved).toHaveLength(1);
  });

  test('is that of wire 5.2, 5.3 for image to image in batches', async () => {
    const bench = createBench();
    const text = (words: string) => ({
      class_type: 'CLIPTextEncode',
      inputs: { text: words, clip: ['4', 1] },
    });
    const head = {
      '4': { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: 'sketch.safetensors' } },
      '6': text('a red fox in the snow'),
      '7': text('blurry'),
    };
    const sampler = (latent: string) => ({
      class_type: 'KSampler',
      inputs: {
        seed: 7,
        steps: 2,
        cfg: 7,
        sampler_name: 'euler',
        scheduler: 'normal',
        denoise: 0.6,
        model: ['4', 0],
        positive: ['6', 0],
        negative: ['7', 0],
        latent_image: [latent, 0],
      },
    });
    const decode = { class_type: 'VAEDecode', inputs: { samples: ['3', 0], vae: ['4', 2] } };
    const plain = {
      ...head,
      '3': sampler('5'),
      '5': { class_type: 'EmptyLatentImage', inputs: { width: 64, height: 64, batch_size: 1 } },
      '8': decode,
      '9': { class_type: 'SaveImage', inputs: { filename_prefix: 'fox', images: ['8', 0] } },
    };
    await bench.run(plain, ['9']);
    expect(started(bench.log).slice(-3)).toEqual(['3', '8', '9']);
    await bench.run(
      { ...plain, '3': { ...plain['3'], inputs: { ...plain['3'].inputs, seed: 8 } } },
      ['9'],
    );
    expect(bench.log[0]).toBe('cached 4,5,6,7');
    expect(started(bench.log)).toEqual(['3', '8', '9']);
    expect(bench.log).toContain('progress 3 1/2');

    const graph = {
      ...head,
      '3': sampler('13'),
      '8': decode,
      '9': { class_type: 'SaveImage', inputs: { filename_prefix: 'fox', images: ['14', 0] } },
      '10': empty({ width: 40, height: 30 }),
      '11': {
        class_type: 'ImageScale',
        inputs: {
          image: ['10', 0],
          upscale_method: 'lanczos',
          width: 64,
          height: 64,
          crop: 'center',
        },
      },
      '12': { class_type: 'VAEEncode', inputs: { pixels: ['11', 0], vae: ['4', 2] } },
      '13': { class_type: 'RepeatLatentBatch', inputs: { samples: ['12', 0], amount: 2 } },
      '14': {
        class_type: 'ImageScaleBy',
        inputs: { image: ['8', 0], upscale_method: 'bicubic', scale_by: 2 },
      },
      '15': preview('8'),
    };
    const result = await bench.run(graph, ['9', '15']);
    expect(started(bench.log)).toEqual(['10', '11', '12', '13', '3', '8', '15', '14', '9']);
    expect(result.sketch).toBe(true);
    expect(bench.saved.slice(-2).map(({ width, height }) => [width, height])).toEqual([
      [128, 128],
      [128, 128],
    ]);
  });

  test('is that of wire 5.2: the outputs are followed in the order they were given', async () => {
    const bench = createBench();
    const text =
      '{"1":{"class_type":"EmptyImage","inputs":{"width":32,"height":32,"batch_size":1,"color":9}},"2":{"class_type":"SaveImage","inputs":{"images":["1",0],"filename_prefix":"big"}},"3":{"class_type":"PrimitiveInt","inputs":{"value":9007199254740993}},"4":{"class_type":"PreviewAny","inputs":{"source":["3",0]}}}';
    const result = await bench.run(text, ['4', '2']);
    expect(started(bench.log)).toEqual(['3', '4', '1', '2']);
    expect(result.outputs['4']).toEqual({ text: ['9007199254740993'] });
  });

  test('lists cached nodes in the order the caller wrote them', async () => {
    const bench = createBench();
    const text = `{"20":${JSON.stringify(empty())},"3":${JSON.stringify(preview('20'))}}`;
    await bench.run(text, ['3']);
    await bench.run(text, ['3']);
    expect(bench.log[0]).toBe('cached 20,3');
  });
});

test('a chain of 10,000 nodes runs', async () => {
  const bench = createBench();
  const graph: Record<string, unknown> = { '0': empty({ width: 1, height: 1 }) };
  for (let i = 1; i < 10_000; i += 1) graph[String(i)] = invert(String(i - 1));
  graph.out = save('9999');
  const result = await bench.run(JSON.stringify(graph), ['out']);
  expect(result.executed).toHaveLength(10_001);
  await bench.run(JSON.stringify(graph), ['out']);
  expect(bench.log.slice(1)).toEqual(['executed out from cache', 'finished out']);
}, 20_000);
