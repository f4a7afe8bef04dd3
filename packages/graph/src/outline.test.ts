import { describe, expect, test } from '@jest/globals';
import type { JsonObject } from '@tiercel/contracts';
import { measureProgress, outlineGraph, type NodeState } from './outline.ts';

const node = (inputs: JsonObject) => ({ class_type: 'Any', inputs });
/** A loader, two encoders, a sampler of 20 steps, a decoder, an output; and a node that nothing needs. */
const GRAPH = {
  load: node({}),
  plus: node({ clip: ['load', 1] }),
  minus: node({ clip: ['load', 1] }),
  sample: node({ model: ['load', 0], positive: ['plus', 0], negative: ['minus', 0], steps: 20 }),
  decode: node({ samples: ['sample', 0] }),
  save: node({ images: ['decode', 0] }),
  unused: node({ steps: 1_000 }),
};
const PARTS = 25;

const states = (told: Record<string, Partial<NodeState>>) =>
  new Map(
    Object.entries(told).map(([id, state]) => [
      id,
      { value: 0, max: 1, state: 'running', ...state },
    ]),
  );
const measure = (told: Record<string, Partial<NodeState>>, done: readonly string[] = []) =>
  measureProgress(outlineGraph(GRAPH, ['save']), states(told), done);

describe('the progress of a job', () => {
  test('goes from nothing to all, a node that has steps counting for each of them', () => {
    const course = [
      measure({}),
      measure({ load: {} }),
      measure({ load: { state: 'finished' }, plus: {} }),
      measure({ sample: { value: 0, max: 20 } }),
      measure({ sample: { value: 10, max: 20 } }),
      measure({ sample: { state: 'finished' }, decode: {} }),
      measure({ save: {} }),
      measure({ save: { state: 'finished' } }),
    ].map((progress) => progress * PARTS);
    expect(course).toEqual([0, 0, 1, 3, 13, 23, 24, 25]);
  });

  test('counts what is cached, and what that would have needed', () => {
    expect(measure({}, ['sample']) * PARTS).toBe(23);
  });

  test('knows of nodes that are not told of any more by those that need them', () => {
    // Only the last of them is told.
    expect(measure({ decode: { value: 0, max: 1 } }) * PARTS).toBe(23);
  });

  test('is not moved by nodes of which nobody knows, nor by numbers that are none', () => {
    expect(measure({ other: { state: 'finished' }, sample: { value: NaN, max: 0 } })).toBeLessThan(
      1,
    );
    expect(measureProgress(new Map(), new Map(), [])).toBe(0);
  });
});
