import { describe, expect, test } from '@jest/globals';
import type { NodeDefinition } from '../node-definition.ts';
import { loadPlugins } from '../plugins.ts';
import { ExecutionInterrupted, GraphError, NodeExecutionError } from './execution-errors.ts';
import { createBench, waitForLine } from './test-run.ts';
import { fileURLToPath } from 'node:url';

const pluginDir = fileURLToPath(new URL('../../../../tests/fixtures/nodes', import.meta.url));
const empty = (over = {}) => ({
  class_type: 'EmptyImage',
  inputs: { width: 8, height: 8, batch_size: 1, color: 1, ...over },
});
const preview = (from: string) => ({ class_type: 'PreviewImage', inputs: { images: [from, 0] } });
const save = (from: string, prefix = 'a') => ({
  class_type: 'SaveImage',
  inputs: { images: [from, 0], filename_prefix: prefix },
});
const invert = (from: string) => ({ class_type: 'ImageInvert', inputs: { image: [from, 0] } });
const scale = (from: string, width: number) => ({
  class_type: 'ImageScale',
  inputs: { image: [from, 0], upscale_method: 'bilinear', width, height: 32, crop: 'disabled' },
});
const started = (log: readonly string[]) =>
  log.filter((line) => line.startsWith('started ')).map((line) => line.slice(8));

async function failure(run: Promise<unknown>): Promise<unknown> {
  try {
    await run;
  } catch (error) {
    return error;
  }
  throw new Error('the run did not fail');
}

describe('order', () => {
  const chain = (width: number) => ({
    '1': empty({ width: 64, height: 48, batch_size: 2, color: 65280 }),
    '2': scale('1', width),
    '3': invert('2'),
    '4': preview('3'),
    '5': save('2'),
  });

  test('is that of transcript 03: a ready output node runs first', async () => {
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

  test('is that of transcript 04: what did not change comes from the cache', async () => {
    const bench = createBench();
    await bench.run(chain(40), ['4', '5']);
    await bench.run(chain(44), ['4', '5']);
    expect(bench.log[0]).toBe('cached 1');
    expect(started(bench.log)).toEqual(['2', '5', '3', '4']);
  });

  test('is that of transcript 02: a fully cached prompt only reports its output nodes', async () => {
    const bench = createBench();
    const graph = { '1': empty(), '2': save('1', 'rec') };
    const first = await bench.run(graph, ['2']);
    const second = await bench.run(graph, ['2']);
    expect(bench.log).toEqual(['cached 1,2', 'executed 2 from cache', 'finished 2']);
    expect(second.outputs).toEqual(first.outputs);
    expect(second.executed).toEqual([]);
    expect(bench.saved).toHaveLength(1);
  });

  test('is that of transcripts 18 and 20 for image to image in batches', async () => {
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

  test('is that of transcript 21: the outputs are followed in the order they were given', async () => {
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

describe('caching', () => {
  test('runs an output node again when its files are gone', async () => {
    const bench = createBench();
    const graph = { '1': empty(), '2': preview('1') };
    await bench.run(graph, ['2']);
    bench.missing.add('ComfyUI_temp_abcde_00001_.png');
    await bench.run(graph, ['2']);
    expect(bench.log[0]).toBe('cached 1');
    expect(started(bench.log)).toEqual(['2']);
  });

  test('an equal node of the same prompt runs once', async () => {
    const bench = createBench();
    await bench.run(
      { '1': empty(), '2': preview('1'), '3': empty(), '4': invert('3'), '5': save('4') },
      ['2', '5'],
    );
    expect(started(bench.log)).toEqual(['1', '2', '4', '5']);
    expect(bench.log).toContain('executed 3 from cache');
    expect(bench.shown.get('3')).toBeNull();
  });

  test('treats values that coerce to the same as equal, and a changed prefix as different', async () => {
    const bench = createBench();
    await bench.run({ '1': empty(), '2': save('1', 'a') }, ['2']);
    await bench.run({ '1': empty({ width: '8' }), '2': save('1', 'b') }, ['2']);
    expect(started(bench.log)).toEqual(['2']);
  });

  test('a node whose fingerprint is NaN runs every time, with all that depends on it', async () => {
    const clock: NodeDefinition = {
      class_type: 'Clock',
      input: {},
      output: ['INT'],
      fingerprint: () => NaN,
      run: () => Promise.resolve({ outputs: [1] }),
    };
    const bench = createBench({ plugins: [clock] });
    const graph = {
      '1': { class_type: 'Clock', inputs: {} },
      '2': { class_type: 'PreviewAny', inputs: { source: ['1', 0] } },
    };
    await bench.run(graph, ['2']);
    await bench.run(graph, ['2']);
    expect(bench.log[0]).toBe('cached ');
    expect(started(bench.log)).toEqual(['1', '2']);
  });

  test('an uploaded file that changed is loaded again', async () => {
    const bench = createBench();
    const load = { '1': { class_type: 'LoadImage', inputs: { image: 'x.png' } }, '2': save('1') };
    await bench.run({ '1': empty(), '2': save('1') }, ['2']);
    const png = bench.saved[0]!.bytes;
    bench.inputs.set('x.png', png);
    await bench.run(load, ['2']);
    await bench.run(load, ['2']);
    expect(started(bench.log)).toEqual([]);
    bench.inputs.set('x.png', Buffer.concat([png, Buffer.alloc(3)]));
    await bench.run(load, ['2']);
    expect(started(bench.log)).toEqual(['1', '2']);
  });

  test('works without room for anything', async () => {
    const bench = createBench({ maxBytes: 0 });
    const result = await bench.run({ '1': empty(), '2': invert('1'), '3': save('2') }, ['3']);
    expect(result.executed).toEqual(['1', '2', '3']);
    expect(bench.cache.bytes).toBe(0);
  });

  test('two jobs at once share one cache', async () => {
    const bench = createBench();
    const graph = (color: number) => ({ '1': empty({ color }), '2': invert('1'), '3': save('2') });
    const results = await Promise.all([1, 2, 1, 2].map((color) => bench.run(graph(color), ['3'])));
    expect(results.every(({ outputs }) => outputs['3'])).toBe(true);
  });
});

describe('failure', () => {
  test('of a node is reported in the form of transcript 07', async () => {
    const bench = createBench({ plugins: await loadPlugins(pluginDir) });
    const graph = {
      '1': { class_type: 'SlowPreview', inputs: { steps: 4, delay: 0.002, fail_at: 2 } },
      '2': preview('1'),
    };
    const error = await failure(bench.run(graph, ['2']));
    expect(error).toBeInstanceOf(NodeExecutionError);
    expect(error).toMatchObject({
      nodeId: '1',
      nodeType: 'SlowPreview',
      executed: [],
      exceptionMessage: 'sampler exploded\n',
      exceptionType: 'RuntimeError',
      currentInputs: { steps: [4], delay: [0.002], fail_at: [2], unique_id: ['1'] },
      currentOutputs: ['1', '2'],
      partial: { outputs: {}, meta: {} },
    });
    expect((error as NodeExecutionError).traceback.join('')).not.toContain('/');
    expect(bench.log.filter((line) => line.startsWith('progress'))).toEqual([
      'progress 1 1/4',
      'progress 1 2/4',
    ]);
    await failure(bench.run(graph, ['2']));
    expect(bench.log[0]).toBe('cached ');
  });

  test('keeps what output nodes have shown before', async () => {
    const bench = createBench();
    const graph = {
      '1': empty(),
      '2': save('1'),
      '3': { class_type: 'LoadImage', inputs: { image: 'no.png' } },
      '4': save('3'),
    };
    const error = await failure(bench.run(graph, ['2', '4']));
    expect(error).toMatchObject({
      exceptionMessage: 'Invalid image file: no.png\n',
      partial: {
        executed: ['1', '2'],
        outputs: { '2': { images: [{ filename: 'a_00001_.png' }] } },
      },
    });
  });

  test.each([
    ['a node that does not exist', { '2': save('1') }, 'There is no node 1'],
    [
      'an unknown class',
      { '1': { class_type: 'Nope', inputs: {} }, '2': save('1') },
      'unknown class Nope',
    ],
    [
      'a slot that does not exist',
      { '1': empty(), '2': { ...save('1'), inputs: { images: ['1', 3], filename_prefix: 'a' } } },
      'has no output 3',
    ],
    ['a cycle', { '1': invert('3'), '3': invert('1'), '2': save('1') }, 'cycle'],
    ['a node linked to itself', { '1': invert('1'), '2': save('1') }, 'cycle'],
  ])('on %s is a GraphError before anything runs', async (_, graph, message) => {
    const bench = createBench();
    const error = await failure(bench.run(graph, ['2']));
    expect(error).toBeInstanceOf(GraphError);
    expect((error as Error).message).toContain(message);
    expect(bench.log).toEqual([]);
  });

  test('of validate, of a missing input and of a wrong result name the node', async () => {
    const picky: NodeDefinition = {
      class_type: 'Picky',
      input: { required: { a: ['INT'] } },
      output: [],
      output_node: true,
      validate: ({ a }) => (a === 1 ? true : 'a must be 1'),
      run: () => Promise.resolve(null as never),
    };
    const bench = createBench({ plugins: [picky] });
    const run = (inputs: { a?: number | string }) =>
      failure(bench.run({ x: { class_type: 'Picky', inputs } }, ['x']));
    expect(await run({ a: 2 })).toMatchObject({
      exceptionType: 'ValueError',
      exceptionMessage: 'Custom validation failed: a must be 1\n',
    });
    expect(await run({})).toMatchObject({
      exceptionType: 'TypeError',
      exceptionMessage: 'Required input is missing: a\n',
    });
    expect(await run({ a: 'many' })).toMatchObject({ exceptionType: 'ValueError' });
    expect(await run({ a: 1 })).toMatchObject({
      exceptionMessage: 'Picky must return { outputs: [...] }.\n',
    });
  });
});

describe('an abort', () => {
  test('ends a sampler at its next step', async () => {
    const bench = createBench({ plugins: await loadPlugins(pluginDir) });
    const controller = new AbortController();
    const graph = {
      '0': empty(),
      '3': save('0'),
      '1': { class_type: 'SlowPreview', inputs: { steps: 500, delay: 0.01, fail_at: -1 } },
      '2': preview('1'),
    };
    const run = failure(bench.run(graph, ['3', '2'], { signal: controller.signal }));
    await waitForLine(bench.log, 'progress 1 2/500');
    controller.abort();
    const error = await run;
    expect(error).toBeInstanceOf(ExecutionInterrupted);
    expect(error).toMatchObject({ nodeId: '1', nodeType: 'SlowPreview', executed: ['0', '3'] });
    expect((error as ExecutionInterrupted).partial.outputs).toHaveProperty('3');
  });

  test('abandons a node that never returns', async () => {
    const bench = createBench({ plugins: await loadPlugins(pluginDir) });
    const controller = new AbortController();
    const graph = { '1': { class_type: 'NeverReturns', inputs: {} }, '2': preview('1') };
    const run = failure(bench.run(graph, ['2'], { signal: controller.signal }));
    await waitForLine(bench.log, 'started 1');
    controller.abort();
    expect(await run).toMatchObject({ name: 'ExecutionInterrupted', nodeId: '1' });
  });

  test('keeps an abandoned node from storing and reporting', async () => {
    let resume = () => {};
    let late: unknown;
    const stubborn: NodeDefinition = {
      class_type: 'Stubborn',
      input: {},
      output: ['IMAGE'],
      async run(_, context) {
        await new Promise<void>((done) => {
          resume = done;
        });
        try {
          await context.saveOutput({
            type: 'output',
            prefix: 'x',
            extension: '.png',
            bytes: new Uint8Array(),
          });
        } catch (error) {
          late = error;
        }
        context.progress(1, 1);
        return { outputs: [] };
      },
    };
    const bench = createBench({ plugins: [stubborn] });
    const controller = new AbortController();
    const run = failure(
      bench.run({ '1': { class_type: 'Stubborn', inputs: {} }, '2': preview('1') }, ['2'], {
        signal: controller.signal,
      }),
    );
    await waitForLine(bench.log, 'started 1');
    controller.abort();
    await run;
    resume();
    await new Promise((done) => setTimeout(done, 5));
    expect(late).toBeInstanceOf(ExecutionInterrupted);
    expect(bench.saved).toEqual([]);
    expect(bench.log).not.toContain('progress 1 1/1');
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
