import { describe, expect, test } from '@jest/globals';
import { chooseTiers, type JobFacts, type TierFacts } from './choose-tiers.ts';

const NOW = 1_000_000;
const CLOSED = { openUntilMs: 0, probing: false, reason: '' };

function tier(name: string, more: Partial<TierFacts> = {}): TierFacts {
  return {
    name,
    quality: undefined,
    support: { ok: true },
    breaker: CLOSED,
    running: 0,
    waiting: 0,
    concurrency: undefined,
    p50Ms: undefined,
    ...more,
  };
}

const open = (forMs: number, probing = false) => ({
  breaker: { openUntilMs: NOW + forMs, probing, reason: 'paused after 3 failures' },
});
const unable = { support: { ok: false, reason: 'node 3 (LoraLoader) applies a LoRA' } } as const;
const full = { concurrency: 2, running: 2 };

interface Row {
  readonly title: string;
  readonly tiers: readonly TierFacts[];
  readonly job?: Partial<JobFacts>;
  readonly order: readonly string[];
  readonly skipped?: Readonly<Record<string, string>>;
}

const rows: readonly Row[] = [
  { title: 'the configured order is kept', tiers: [tier('a'), tier('b')], order: ['a', 'b'] },
  {
    title: 'a tier that cannot do the graph is left out',
    tiers: [tier('a', unable), tier('b')],
    order: ['b'],
    skipped: { a: 'unsupported' },
  },
  {
    title: 'a tried tier is not tried again',
    tiers: [tier('a'), tier('b')],
    job: { tried: new Set(['a']) },
    order: ['b'],
    skipped: { a: 'tried' },
  },
  {
    title: 'a tier that the tenant cannot pay for is skipped, and still the preferred one',
    tiers: [tier('a', { overBudget: { reason: 'too dear', retryInMs: undefined } }), tier('b')],
    order: ['b'],
    skipped: { a: 'budget' },
  },
  {
    title: 'one of another quality does not stand in for it against the policy',
    tiers: [tier('a', { overBudget: { reason: 'too dear', retryInMs: 5 } }), tier('b')],
    job: { policy: 'same_quality' },
    order: [],
    skipped: { a: 'budget', b: 'policy' },
  },
  {
    title: 'an open breaker skips',
    tiers: [tier('a', open(500)), tier('b')],
    order: ['b'],
    skipped: { a: 'open' },
  },
  {
    title: 'a breaker whose time is over lets a probe through',
    tiers: [tier('a', open(-1)), tier('b')],
    order: ['a', 'b'],
  },
  {
    title: 'while one job probes, the breaker is open for the others',
    tiers: [tier('a', open(-1, true)), tier('b')],
    order: ['b'],
    skipped: { a: 'open' },
  },
  {
    title: 'policy never: only the first tier that can',
    tiers: [tier('a', unable), tier('b'), tier('c')],
    job: { policy: 'never' },
    order: ['b'],
    skipped: { a: 'unsupported', c: 'policy' },
  },
  {
    title: 'policy never: an open breaker does not make the second tier the first',
    tiers: [tier('a', open(500)), tier('b')],
    job: { policy: 'never' },
    order: [],
    skipped: { a: 'open', b: 'policy' },
  },
  {
    title: 'policy same_quality: tiers with the same word',
    tiers: [tier('a', { quality: 'high' }), tier('b'), tier('c', { quality: 'high' })],
    job: { policy: 'same_quality' },
    order: ['a', 'c'],
    skipped: { b: 'policy' },
  },
  {
    title: 'policy same_quality: two tiers without a word are not equal',
    tiers: [tier('a'), tier('b')],
    job: { policy: 'same_quality' },
    order: ['a'],
    skipped: { b: 'policy' },
  },
  {
    title: 'a full tier is passed over when one of equal quality has room',
    tiers: [tier('a', { ...full, quality: 'x' }), tier('low'), tier('b', { quality: 'x' })],
    order: ['b', 'low', 'a'],
  },
  {
    title: 'a full tier is waited for when only worse ones have room',
    tiers: [tier('a', full), tier('b')],
    order: ['a', 'b'],
  },
  {
    title: 'a tier that takes longer than what is left is skipped',
    tiers: [tier('a', { p50Ms: 9_000 }), tier('b', { p50Ms: 100 })],
    job: { remainingMs: 5_000 },
    order: ['b'],
    skipped: { a: 'deadline' },
  },
  {
    title: 'those who wait before the job count too',
    tiers: [tier('a', { p50Ms: 2_000, concurrency: 1, running: 1, waiting: 2 }), tier('b')],
    job: { remainingMs: 5_000 },
    order: ['b'],
    skipped: { a: 'deadline' },
  },
  {
    title: 'when all would be too late, the quickest is tried all the same',
    tiers: [tier('a', { p50Ms: 9_000 }), tier('b', { p50Ms: 7_000 })],
    job: { remainingMs: 5_000 },
    order: ['b'],
    skipped: { a: 'deadline' },
  },
  { title: 'no tier at all', tiers: [], order: [] },
];

describe('which tiers a job is tried on', () => {
  test.each(rows)('$title', ({ tiers, job, order, skipped = {} }) => {
    const facts: JobFacts = { policy: 'any', remainingMs: 60_000, tried: new Set(), ...job };
    const choice = chooseTiers(facts, tiers, NOW);
    expect(choice.order).toEqual(order);
    expect(Object.fromEntries(choice.skipped.map((s) => [s.tier, s.kind]))).toEqual(skipped);
  });

  test('each skipped tier has its reason, an open one also the time to come back', () => {
    const choice = chooseTiers(
      { policy: 'any', remainingMs: 1, tried: new Set() },
      [tier('a', unable), tier('b', open(700))],
      NOW,
    );
    expect(choice.skipped).toEqual([
      { tier: 'a', kind: 'unsupported', reason: 'node 3 (LoraLoader) applies a LoRA' },
      { tier: 'b', kind: 'open', reason: 'paused after 3 failures', retryAtMs: NOW + 700 },
    ]);
  });
});
