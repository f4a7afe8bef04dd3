import { describe, expect, test } from '@jest/globals';
import type { NodeDefinition } from '../node-definition.ts';
import { createBench, empty, preview, save, invert, started } from './test-run.ts';

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
