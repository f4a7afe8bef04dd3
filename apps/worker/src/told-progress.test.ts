import { describe, expect, test } from '@jest/globals';
import { plainNode, type NodeProgress } from '@tiercel/contracts';
import { ToldProgress } from './told-progress.ts';

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
function afterFirstRun(): ToldProgress {
  const told = new ToldProgress('job');
  told.beginRun();
  told.start('3');
  told.finish('3');
  told.start('5');
  told.advance('5', step(12, 20), OWN);
  told.beginRun();
  return told;
}

describe('progress within one run', () => {
  test('of an estimate that was ahead of the truth stays until the truth has passed it', () => {
    const told = new ToldProgress('job');
    told.beginRun();
    told.start('5');
    expect(told.advance('5', step(15, 20, true), OWN)).toMatchObject({
      value: 15,
      estimated: true,
    });
    expect(told.advance('5', step(2, 20), OWN)).toBeUndefined();
    const caughtUp = told.advance('5', step(16, 20), OWN);
    expect(caughtUp).toMatchObject({ value: 16, max: 20 });
    expect(caughtUp).not.toHaveProperty('estimated');
    expect(told.nodes['5']).not.toHaveProperty('estimated');
  });

  test('of a ComfyUI server is passed on as it is: a node may have a bar for each tile', () => {
    const told = new ToldProgress('job');
    told.beginRun();
    told.start('5');
    for (const [value, max] of [
      [20, 20],
      [1, 20],
      [2, 8],
    ] as const) {
      expect(told.advance('5', step(value, max), SERVER)).toMatchObject({ value, max });
    }
  });

  test('shows at most 64 nodes; what has finished longest ago is left out', () => {
    const told = new ToldProgress('job');
    told.beginRun();
    for (let n = 0; n < 100; n += 1) {
      told.start(`n${n}`);
      told.finish(`n${n}`);
    }
    const shown = Object.keys(told.nodes);
    expect(shown).toHaveLength(64);
    expect(shown).toContain('n99');
    expect(shown).not.toContain('n0');
  });
});

describe('progress of a further run', () => {
  test('is held until it has passed what an earlier one told', () => {
    const told = afterFirstRun();
    expect(told.start('5')).toEqual({ isTold: true, from: { value: 12, max: 20 } });
    expect(told.advance('5', step(3, 20), OWN)).toBeUndefined();
    expect(told.advance('5', step(12, 20), OWN)).toMatchObject({ value: 12 });
    expect(told.advance('5', step(13, 20), OWN)).toMatchObject({ value: 13 });
  });

  test('is told on the scale of the first: a value never falls although the steps are others', () => {
    const told = afterFirstRun();
    told.start('5');
    expect(told.advance('5', step(5, 10), OWN)).toBeUndefined();
    expect(told.advance('5', step(7, 10), OWN)).toMatchObject({ value: 14, max: 20 });
  });

  test.each([['our own', OWN] as const, ['a ComfyUI server’s', SERVER] as const])(
    'does not begin a node again that is finished (%s)',
    (_whose, options) => {
      const told = afterFirstRun();
      expect(told.isFinishedBefore('3')).toBe(true);
      expect(told.start('3')).toBeUndefined();
      expect(told.advance('3', step(1, 4), options)).toBeUndefined();
      expect(told.finish('3')).toBe(false);
      expect(told.nodes['3']).toMatchObject({ state: 'finished', value: 1, max: 1 });
    },
  );

  test('shows a node that it is not at yet as waiting, where it was', () => {
    const told = afterFirstRun();
    expect(told.nodes['5']).toMatchObject({ state: 'pending', value: 12, max: 20 });
    told.start('4');
    expect(told.start('5')).toMatchObject({ isTold: false, from: { value: 12 } });
    expect(told.nodes['5']).toMatchObject({ state: 'running', value: 12 });
  });

  test('of a server is held as well, and passed on once it is ahead', () => {
    const told = afterFirstRun();
    expect(told.merge({ '5': entry('5', 2, 20) })).toEqual({
      '3': entry('3', 1, 1, 'finished'),
      '5': entry('5', 12, 20),
    });
    expect(told.advance('5', step(2, 20), SERVER)).toBeUndefined();
    expect(told.merge({ '5': entry('5', 13, 20) })).toMatchObject({ '5': { value: 13 } });
    expect(told.advance('5', step(13, 20), SERVER)).toMatchObject({ value: 13 });
    // From here on the server has its own say again.
    expect(told.advance('5', step(1, 20), SERVER)).toMatchObject({ value: 1 });
  });

  test('keeps what a server says beside the numbers, and what is no progress at all', () => {
    const told = afterFirstRun();
    const given = { ...entry('7', 1, 2), activity: 'loading' };
    const merged = told.merge({ '7': given, x: null, __proto__: {} });
    expect(merged['7']).toEqual(given);
    expect(merged.x).toBeNull();
    expect(Object.keys(told.merge(JSON.parse('{"__proto__":{"a":1}}')))).toContain('__proto__');
  });
});

describe('a run under another worker', () => {
  test('begins where clients were told that the job is', () => {
    const told = new ToldProgress('job');
    told.resume({
      nodes: new Map([
        ['3', entry('3', 1, 1, 'finished')],
        ['5', entry('5', 12, 20)],
      ]),
      executing: '5',
      cached: [],
      pictures: new Map(),
    });
    told.beginRun();
    expect(told.start('3')).toBeUndefined();
    expect(told.start('5')).toEqual({ isTold: true, from: { value: 12, max: 20 } });
    expect(told.advance('5', step(11, 20), OWN)).toBeUndefined();
    expect(told.advance('5', step(13, 20), OWN)).toMatchObject({ value: 13 });
  });
});
