import { describe, expect, test } from '@jest/globals';
import { plainNode, type NodeProgress } from '@tiercel/contracts';
import { EmittedProgress } from './emitted-progress.ts';

const OWN = { mayGoBack: false };
const SERVER = { mayGoBack: true };

const step = (value: number, max: number, isEstimated = false) => ({ value, max, isEstimated });

function entry(
  nodeId: string,
  value: number,
  max: number,
  state: NodeProgress['state'] = 'running',
): NodeProgress {
  return { value, max, state, prompt_id: 'job', ...plainNode(nodeId) };
}

/** A job whose first run has brought node 5 to 12 of 20 and finished node 3. */
function afterFirstRun(): EmittedProgress {
  const progress = new EmittedProgress('job');
  progress.beginRun();
  progress.start('3');
  progress.finish('3');
  progress.start('5');
  progress.advance('5', step(12, 20), OWN);
  progress.beginRun();
  return progress;
}

describe('progress within one run', () => {
  test('of an estimate that was ahead of the truth stays until the truth has passed it', () => {
    const progress = new EmittedProgress('job');
    progress.beginRun();
    progress.start('5');
    expect(progress.advance('5', step(15, 20, true), OWN)).toMatchObject({
      value: 15,
      estimated: true,
    });
    expect(progress.advance('5', step(2, 20), OWN)).toBeUndefined();
    const caughtUp = progress.advance('5', step(16, 20), OWN);
    expect(caughtUp).toMatchObject({ value: 16, max: 20 });
    expect(caughtUp).not.toHaveProperty('estimated');
    expect(progress.nodes['5']).not.toHaveProperty('estimated');
  });

  test('of a ComfyUI server is passed on as it is: a node may have a bar for each tile', () => {
    const progress = new EmittedProgress('job');
    progress.beginRun();
    progress.start('5');
    for (const [value, max] of [
      [20, 20],
      [1, 20],
      [2, 8],
    ] as const) {
      expect(progress.advance('5', step(value, max), SERVER)).toMatchObject({ value, max });
    }
  });

  test('shows at most 64 nodes; what has finished longest ago is left out', () => {
    const progress = new EmittedProgress('job');
    progress.beginRun();
    for (let n = 0; n < 100; n += 1) {
      progress.start(`n${n}`);
      progress.finish(`n${n}`);
    }
    const shown = Object.keys(progress.nodes);
    expect(shown).toHaveLength(64);
    expect(shown).toContain('n99');
    expect(shown).not.toContain('n0');
  });
});

describe('progress of a further run', () => {
  test('is held until it has passed what an earlier one told', () => {
    const progress = afterFirstRun();
    expect(progress.start('5')).toEqual({ isEmitted: true, from: { value: 12, max: 20 } });
    expect(progress.advance('5', step(3, 20), OWN)).toBeUndefined();
    expect(progress.advance('5', step(12, 20), OWN)).toMatchObject({ value: 12 });
    expect(progress.advance('5', step(13, 20), OWN)).toMatchObject({ value: 13 });
  });

  test('is told on the scale of the first: a value never falls although the steps are others', () => {
    const progress = afterFirstRun();
    progress.start('5');
    expect(progress.advance('5', step(5, 10), OWN)).toBeUndefined();
    expect(progress.advance('5', step(7, 10), OWN)).toMatchObject({ value: 14, max: 20 });
  });

  test.each([['our own', OWN] as const, ['a ComfyUI server’s', SERVER] as const])(
    'does not begin a node again that is finished (%s)',
    (_whose, options) => {
      const progress = afterFirstRun();
      expect(progress.isFinishedBefore('3')).toBe(true);
      expect(progress.start('3')).toBeUndefined();
      expect(progress.advance('3', step(1, 4), options)).toBeUndefined();
      expect(progress.finish('3')).toBe(false);
      expect(progress.nodes['3']).toMatchObject({ state: 'finished', value: 1, max: 1 });
    },
  );

  test('shows a node that it is not at yet as waiting, where it was', () => {
    const progress = afterFirstRun();
    expect(progress.nodes['5']).toMatchObject({ state: 'pending', value: 12, max: 20 });
    progress.start('4');
    expect(progress.start('5')).toMatchObject({ isEmitted: false, from: { value: 12 } });
    expect(progress.nodes['5']).toMatchObject({ state: 'running', value: 12 });
  });

  test('of a server is held as well, and passed on once it is ahead', () => {
    const progress = afterFirstRun();
    expect(progress.merge({ '5': entry('5', 2, 20) })).toEqual({
      '3': entry('3', 1, 1, 'finished'),
      '5': entry('5', 12, 20),
    });
    expect(progress.advance('5', step(2, 20), SERVER)).toBeUndefined();
    expect(progress.merge({ '5': entry('5', 13, 20) })).toMatchObject({ '5': { value: 13 } });
    expect(progress.advance('5', step(13, 20), SERVER)).toMatchObject({ value: 13 });
    // From here on the server has its own say again.
    expect(progress.advance('5', step(1, 20), SERVER)).toMatchObject({ value: 1 });
  });

  test('keeps what a server says beside the numbers, and what is no progress at all', () => {
    const progress = afterFirstRun();
    const given = { ...entry('7', 1, 2), activity: 'loading' };
    const merged = progress.merge({ '7': given, x: null, __proto__: {} });
    expect(merged['7']).toEqual(given);
    expect(merged.x).toBeNull();
    expect(Object.keys(progress.merge(JSON.parse('{"__proto__":{"a":1}}')))).toContain('__proto__');
  });
});

describe('a run under another worker', () => {
  test('begins where clients were told that the job is', () => {
    const progress = new EmittedProgress('job');
    progress.resume({
      nodes: new Map([
        ['3', entry('3', 1, 1, 'finished')],
        ['5', entry('5', 12, 20)],
      ]),
      executing: '5',
      cached: [],
      pictures: new Map(),
    });
    progress.beginRun();
    expect(progress.start('3')).toBeUndefined();
    expect(progress.start('5')).toEqual({ isEmitted: true, from: { value: 12, max: 20 } });
    expect(progress.advance('5', step(11, 20), OWN)).toBeUndefined();
    expect(progress.advance('5', step(13, 20), OWN)).toMatchObject({ value: 13 });
  });
});
