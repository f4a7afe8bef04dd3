import { describe, expect, test } from '@jest/globals';
import { describeFleet, isServed, judgeJob, type JobNeeds, type PoolRules } from './fleet.ts';

const worker = (id: string, classes: readonly string[], pool: Partial<PoolRules> = {}) => ({
  ...{ id, isLive: true },
  profile: { pool: { name: 'default', ...pool }, tiers: ['t1', 't2'], classes: [...classes] },
});
const needs = (change: Partial<JobNeeds> = {}): JobNeeds => ({
  ...{ classes: ['A'], models: [] },
  ...change,
});

describe('which workers a job is for', () => {
  test('all while they are alike, whatever it is', () => {
    const alike = describeFleet([worker('aa', ['A'])]);
    expect(alike.signature).toBe('');
    expect(judgeJob(needs(), alike).kind).toBe('');
  });

  test('those that have its classes', () => {
    const fleet = describeFleet([worker('bb', ['A', 'B']), worker('aa', ['A'])]);
    expect(fleet.signature).toBe('aa,bb');
    expect(judgeJob(needs(), fleet).kind).toBe('');
    expect(judgeJob(needs({ classes: ['A', 'B'] }), fleet).kind).toBe(';bb=0;');
    expect(judgeJob(needs({ classes: ['C'] }), fleet).kind).toBe(';');
  });

  test('a worker that does not know its classes yet may have any', () => {
    const fleet = describeFleet([worker('aa', ['A']), worker('bb', [])]);
    expect(judgeJob(needs({ classes: ['C'] }), fleet).kind).toBe(';bb=0;');
  });

  test('those whose pool takes its plan, in the order in which the pool names plans', () => {
    const fleet = describeFleet([
      worker('aa', ['A'], { name: 'fast', plans: ['pro', 'free'] }),
      worker('bb', ['A'], { plans: ['free', 'anonymous'] }),
    ]);
    expect(judgeJob(needs({ plan: 'pro' }), fleet).kind).toBe(';aa=0;');
    expect(judgeJob(needs({ plan: 'free' }), fleet).kind).toBe(';aa=1;bb=0;');
    expect(judgeJob(needs({ plan: 'other' }), fleet).kind).toBe(';');
    expect(judgeJob(needs(), fleet).kind).toBe('');
  });

  test('one pool with an order of plans needs judging, although its workers are alike', () => {
    const fleet = describeFleet([worker('aa', ['A'], { plans: ['pro', 'free'] })]);
    expect(judgeJob(needs({ plan: 'free' }), fleet).kind).toBe(';aa=1;');
  });

  test.each<[string, Partial<PoolRules>, Partial<JobNeeds>, boolean]>([
    ['a node class', { nodes: ['Video*'] }, { classes: ['A', 'VideoSave'] }, true],
    ['no such node class', { nodes: ['Video*'] }, { classes: ['A', 'SaveVideo'] }, false],
    ['a model', { models: ['wan*.safetensors'] }, { models: ['x', 'wan2.safetensors'] }, true],
    ['another model', { models: ['wan.*'] }, { models: ['wanx'] }, false],
    ['a cost within the limit', { maxCostMs: 100 }, { costMs: 100 }, true],
    ['a cost above it', { maxCostMs: 100 }, { costMs: 101 }, false],
    ['the pool of its plan', { name: 'gpu' }, { pool: 'gpu' }, true],
    ['a tier that its plan allows', {}, { tiers: ['t2', 't3'] }, true],
    ['none of the tiers that its plan allows', {}, { tiers: ['t3'] }, false],
    ['another pool', { name: 'gpu' }, { pool: 'cpu' }, false],
  ])('a pool for kinds of graph: %s', (_, rules, change, takes) => {
    const all = ['A', 'VideoSave', 'SaveVideo'];
    const fleet = describeFleet([worker('aa', all, rules), worker('bb', ['B'])]);
    expect(judgeJob(needs(change), fleet).kind).toBe(takes ? ';aa=0;' : ';');
  });

  test('not those that declined it, unless nobody else is left', () => {
    const fleet = describeFleet([worker('aa', ['A']), worker('bb', ['A'])]);
    const [one, both] = [['aa'], ['aa', 'bb']];
    expect(judgeJob(needs(), fleet, one)).toEqual({ kind: ';bb=0;', isDeclinedByAll: false });
    expect(judgeJob(needs(), fleet, both)).toEqual({ kind: '', isDeclinedByAll: true });
  });

  test('not drained ones, unless there are no others', () => {
    const drained = { ...worker('bb', ['A', 'B']), isDrained: true };
    const fleet = describeFleet([worker('aa', ['A']), drained]);
    expect(fleet.signature).not.toBe(describeFleet([worker('aa', ['A'])]).signature);
    expect(judgeJob(needs(), fleet).kind).toBe('');
    expect(judgeJob(needs({ classes: ['B'] }), fleet).kind).toBe(';');
    expect(isServed(';bb=0;', fleet)).toBe(false);
    // Then jobs wait, and are not refused.
    expect(describeFleet([drained]).signature).toBe('');
    expect(isServed('', describeFleet([drained]))).toBe(false);
  });

  test('says whether one of them is up', () => {
    const away = { ...worker('bb', ['A', 'B']), isLive: false };
    const fleet = describeFleet([worker('aa', ['A']), away]);
    expect(isServed('', fleet)).toBe(true);
    expect(isServed(';aa=0;bb=0;', fleet)).toBe(true);
    expect(isServed(';bb=0;', fleet)).toBe(false);
    expect(isServed(';', fleet)).toBe(false);
    expect(isServed('', describeFleet([away]))).toBe(false);
  });
});
