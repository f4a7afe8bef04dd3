import { describe, expect, test } from '@jest/globals';
import type { NodeDefinition } from '../node-definition.ts';
import { NodeExecutionError } from './execution-errors.ts';
import { createBench, failure } from './test-run.ts';

/** A small language of lists: nodes that make one, take one, and see one value at a time. */
function createListNodes() {
  const calls: unknown[] = [];
  const plugins: NodeDefinition[] = [
    {
      class_type: 'Words',
      input: { required: { text: ['STRING', {}] } },
      output: ['STRING'],
      output_is_list: [true],
      run: ({ text }) =>
        Promise.resolve({ outputs: [(text as string).split(' ').filter((word) => word !== '')] }),
    },
    {
      class_type: 'Pair',
      output_node: true,
      input: { required: { a: ['*', {}], b: ['*', {}] } },
      output: ['STRING'],
      run: ({ a, b }) => {
        calls.push([a, b]);
        const text = `${String(a)}${String(b)}`;
        return Promise.resolve({ outputs: [text], ui: { text: [text], length: [text.length] } });
      },
    },
    {
      class_type: 'Join',
      output_node: true,
      is_input_list: true,
      input: { required: { words: ['STRING', {}], glue: ['STRING', {}] } },
      output: ['STRING'],
      run: ({ words, glue }) => {
        calls.push([words, glue]);
        const text = (words as string[]).join((glue as string[])[0]);
        return Promise.resolve({ outputs: [text], ui: { text: [text] } });
      },
    },
  ];
  return { plugins, calls };
}

const words = (text: string) => ({ class_type: 'Words', inputs: { text } });
const pair = (a: unknown, b: unknown) => ({ class_type: 'Pair', inputs: { a, b } as never });

describe('a list on a link', () => {
  test('runs its reader once for each value, the shorter list repeating its last', async () => {
    const { plugins, calls } = createListNodes();
    const bench = createBench({ plugins });
    await bench.run({ x: words('a b c'), y: words('1 2'), p: pair(['x', 0], ['y', 0]) }, ['p']);
    expect(calls).toEqual([
      ['a', '1'],
      ['b', '2'],
      ['c', '2'],
    ]);
    expect(bench.log.filter((line) => line.startsWith('started p'))).toHaveLength(1);
  });

  test('joins what the calls show under one report', async () => {
    const { plugins } = createListNodes();
    const bench = createBench({ plugins });
    await bench.run({ x: words('a bb'), p: pair(['x', 0], '!') }, ['p']);
    expect(bench.shown.get('p')).toEqual({ text: ['a!', 'bb!'], length: [2, 3] });
  });

  test('goes on as a list, until a node takes it whole', async () => {
    const { plugins, calls } = createListNodes();
    const bench = createBench({ plugins });
    const join = { class_type: 'Join', inputs: { words: ['p', 0], glue: '-' } as never };
    await bench.run({ x: words('a b'), p: pair(['x', 0], '!'), j: join }, ['j']);
    expect(calls.at(-1)).toEqual([['a!', 'b!'], ['-']]);
    expect(bench.shown.get('j')).toEqual({ text: ['a!-b!'] });
  });

  test('of one value is still a list for those that take lists', async () => {
    const { plugins, calls } = createListNodes();
    const bench = createBench({ plugins });
    const join = { class_type: 'Join', inputs: { words: 'one', glue: '-' } };
    await bench.run({ j: join }, ['j']);
    expect(calls).toEqual([[['one'], ['-']]]);
  });

  test('comes from the cache whole', async () => {
    const { plugins, calls } = createListNodes();
    const bench = createBench({ plugins });
    await bench.run({ x: words('a b'), p: pair(['x', 0], '1') }, ['p']);
    await bench.run({ x: words('a b'), p: pair(['x', 0], '2') }, ['p']);
    expect(bench.log[0]).toBe('cached x');
    expect(calls.slice(2)).toEqual([
      ['a', '2'],
      ['b', '2'],
    ]);
  });

  test('that is empty fails its reader, with the input by name', async () => {
    const { plugins } = createListNodes();
    const bench = createBench({ plugins });
    const error = await failure(bench.run({ x: words(''), p: pair(['x', 0], '1') }, ['p']));
    expect(error).toBeInstanceOf(NodeExecutionError);
    expect((error as Error).message).toContain('"a"');
  });

  test('is needed of an output that is declared one', async () => {
    const broken: NodeDefinition = {
      class_type: 'Broken',
      input: {},
      output: ['STRING'],
      output_is_list: [true],
      run: () => Promise.resolve({ outputs: ['no list'] }),
    };
    const { plugins } = createListNodes();
    const bench = createBench({ plugins: [...plugins, broken] });
    const graph = { x: { class_type: 'Broken', inputs: {} }, p: pair(['x', 0], '1') };
    expect(String(await failure(bench.run(graph, ['p'])))).toContain('array');
  });

  test('asks for the branch of a switch that any of its values needs', async () => {
    const bench = createBench();
    const graph = {
      flags: {
        class_type: 'CreateList',
        inputs: { 'inputs.input0': true, 'inputs.input1': false },
      },
      yes: { class_type: 'PrimitiveString', inputs: { value: 'yes' } },
      no: { class_type: 'PrimitiveString', inputs: { value: 'no' } },
      s: {
        class_type: 'ComfySwitchNode',
        inputs: { switch: ['flags', 0], on_true: ['yes', 0], on_false: ['no', 0] },
      },
      show: { class_type: 'PreviewAny', inputs: { source: ['s', 0] } },
    };
    await bench.run(graph, ['show']);
    expect(bench.shown.get('show')).toEqual({ text: ['yes', 'no'] });
  });
});
