import { MemoryBudget } from '@tiercel/pictures';
import { describe, expect, test } from '@jest/globals';
import type { NodeDefinition } from '../node-definition.ts';
import {
  createBench,
  empty,
  failure,
  invert,
  preview,
  save,
  scale,
  waitForLine,
} from './test-run.ts';

/** Bytes of one picture of the tests. */
const PICTURE = 128 * 128 * 12;
/** Four pictures in all, two and a half of them for one job. */
const createBudget = () =>
  new MemoryBudget({
    maxBytes: 4 * PICTURE,
    commonShare: 3 / 8,
    setting: 'worker.pictureMemoryBytes',
  });
const large = (color: number) => empty({ width: 128, height: 128, color });

describe('the memory of a run', () => {
  test('is given back at its end, also when it fails', async () => {
    const bench = createBench();
    await bench.run({ '1': large(1), '2': invert('1'), '3': preview('2') }, ['3']);
    expect(bench.memory.usedBytes).toBe(0);
    const graph = { '1': large(2), '2': scale('1', 70_000), '3': preview('2') };
    await failure(bench.run(graph, ['3']));
    expect(bench.memory.usedBytes).toBe(0);
  });

  test('is that of the pictures that are still needed, not of all that were made', async () => {
    const memory = createBudget();
    const bench = createBench({ maxBytes: 1 });
    const chain = Object.fromEntries(
      Array.from({ length: 8 }, (_, i) => [`${i + 2}`, invert(`${i + 1}`)]),
    );
    const graph = { '1': large(3), ...chain, last: preview('9') };
    // Nine pictures, two of them at a time.
    await bench.run(graph, ['last'], { memory });
    expect(bench.saved).toHaveLength(1);
  });

  test('of a graph that can never fit is refused by a sentence, and the next job runs', async () => {
    const memory = createBudget();
    const bench = createBench();
    const graph = {
      '1': large(4),
      '2': large(5),
      '3': {
        class_type: 'ImageBlend',
        inputs: {
          ...{ image1: ['1', 0] as [string, number], image2: ['2', 0] as [string, number] },
          ...{ blend_factor: 0.5, blend_mode: 'normal' },
        },
      },
      '4': preview('3'),
    };
    const error = await failure(bench.run(graph, ['4'], { memory }));
    expect(error).toMatchObject({ nodeId: '3', exceptionType: 'MemoryError' });
    expect((error as Error).message).toMatch(
      /^The pictures need 1 MiB of memory at once, more than the 1 MiB .*\(its part of worker\.pictureMemoryBytes\)\. .*\.$/,
    );
    expect(memory.usedBytes).toBe(0);
    await bench.run({ '1': large(6), '2': preview('1') }, ['2'], { memory });
  });

  test('is waited for by jobs that do not fit beside each other, and all of them end', async () => {
    const memory = createBudget();
    let most = 0;
    const jobs = Array.from({ length: 5 }, async (_, i) => {
      const bench = createBench({ maxBytes: 1 });
      const graph = { '1': large(10 + i), '2': invert('1'), '3': save('2') };
      await bench.run(graph, ['3'], {
        memory,
        listener: {
          ...{ cached: () => undefined, nodeStarted: () => undefined, progress: () => undefined },
          ...{ executed: () => undefined, picture: () => undefined },
          nodeFinished: () => {
            most = Math.max(most, memory.usedBytes);
          },
        },
      });
      return bench.saved.length;
    });
    expect(await Promise.all(jobs)).toEqual([1, 1, 1, 1, 1]);
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(4 * PICTURE);
    expect(memory.usedBytes).toBe(0);
  });

  test('counts what a plug-in makes without asking', async () => {
    const greedy: NodeDefinition = {
      class_type: 'Greedy',
      input: {},
      output: ['IMAGE'],
      run: () => {
        const frames = [new Float32Array(PICTURE)];
        return Promise.resolve({
          outputs: [{ kind: 'image', width: 1, height: 1, channels: 3, frames }],
        });
      },
    };
    const bench = createBench({ plugins: [greedy] });
    const graph = { '1': { class_type: 'Greedy', inputs: {} }, '2': preview('1') };
    const error = await failure(bench.run(graph, ['2'], { memory: createBudget() }));
    expect(error).toMatchObject({ nodeId: '1', exceptionType: 'MemoryError' });
  });

  test('stays with a node that goes on after an interrupt, until it ends', async () => {
    let end = (): void => undefined;
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    const stubborn: NodeDefinition = {
      class_type: 'Stubborn',
      input: {},
      output: [],
      output_node: true,
      async run(_inputs, context) {
        await context.reserveMemory(1_000);
        context.progress(1, 2);
        await ended;
        return { outputs: [] };
      },
    };
    const bench = createBench({ plugins: [stubborn] });
    const stop = new AbortController();
    const running = failure(
      bench.run({ '1': { class_type: 'Stubborn', inputs: {} } }, ['1'], { signal: stop.signal }),
    );
    await waitForLine(bench.log, 'progress 1 1/2');
    stop.abort();
    await running;
    expect(bench.memory.usedBytes).toBe(1_000);
    end();
    await new Promise(setImmediate);
    expect(bench.memory.usedBytes).toBe(0);
  });

  test('is not waited for by a job that was interrupted', async () => {
    const memory = createBudget();
    const other = memory.open();
    await other.reserve(2.5 * PICTURE);
    await memory.open().reserve(1.5 * PICTURE);
    const bench = createBench();
    const stop = new AbortController();
    const running = failure(
      bench.run({ '1': large(20), '2': preview('1') }, ['2'], { memory, signal: stop.signal }),
    );
    await waitForLine(bench.log, 'started 1');
    stop.abort();
    expect(await running).toMatchObject({ name: 'ExecutionInterrupted', nodeId: '1' });
  });
});
