import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import type { NodeDefinition } from '../node-definition.ts';
import { loadPlugins } from '../plugins.ts';
import { ExecutionInterrupted, GraphError, NodeExecutionError } from './execution-errors.ts';
import { createBench, empty, preview, save, invert, failure, waitForLine } from './test-run.ts';

const pluginDir = fileURLToPath(new URL('../../../../tests/fixtures/nodes', import.meta.url));

describe('failure', () => {
  test('of a node is reported in the form of wire 3.9', async () => {
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

test('a node that cannot say which of its inputs it needs has failed, and they are not made', async () => {
  const torn: NodeDefinition = {
    class_type: 'Torn',
    input: { required: { image: ['IMAGE', { lazy: true }] } },
    output: [],
    output_node: true,
    needs: () => {
      throw new Error('which one?');
    },
    run: () => Promise.resolve({ outputs: [] }),
  };
  const bench = createBench({ plugins: [torn] });
  const graph = { a: empty(), x: { class_type: 'Torn', inputs: { image: ['a', 0] } } };
  expect(await failure(bench.run(graph, ['x']))).toMatchObject({
    ...{ nodeId: 'x', exceptionMessage: 'which one?\n', executed: [] },
  });
  expect(bench.log).not.toContain('started a');
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
    let hasReported = () => {};
    const reported = new Promise<void>((done) => {
      hasReported = done;
    });
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
        try {
          context.progress(1, 1);
        } finally {
          hasReported();
        }
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
    await reported;
    expect(late).toBeInstanceOf(ExecutionInterrupted);
    expect(bench.saved).toEqual([]);
    expect(bench.log).not.toContain('progress 1 1/1');
  });
});
