import { expect, test } from '@jest/globals';
import type { ObjectInfo, PoolRules } from '@tiercel/contracts';
import type { TierCapabilities } from './describe-capabilities.ts';
import { describeProfile } from './describe-profile.ts';

const worker = (classes: readonly string[], models: Record<string, string[]> = {}) => ({
  objectInfo: Object.fromEntries(classes.map((name) => [name, {}])) as unknown as ObjectInfo,
  ...{ models, tiers: [{ name: 't', driver: 'embedded' }] as unknown as TierCapabilities['tiers'] },
});
const poolOf = (rules: PoolRules, tiers?: readonly string[]) => ({
  ...{ rules, isDrained: false },
  uses: (tier: string) => tiers?.includes(tier) !== false,
});
const pool = poolOf({ name: 'default' });

test('workers that can run the same have one profile, in whatever order they list it', () => {
  const one = describeProfile(worker(['A', 'B'], { vae: ['x', 'y'], loras: [] }), pool);
  const other = describeProfile(worker(['B', 'A'], { loras: [], vae: ['y', 'x'] }), pool);
  expect(one).toEqual(other);
  expect(one.id).toMatch(/^[0-9a-f]{12}$/);
});

test.each([
  ['classes', worker(['A', 'B']), pool],
  ['models', worker(['A'], { vae: ['x'] }), pool],
  ['pools', worker(['A']), poolOf({ name: 'fast' })],
  ['rules of their pool', worker(['A']), poolOf({ name: 'default', plans: ['pro'] })],
  ['tiers that it uses', worker(['A']), poolOf({ name: 'default' }, [])],
])('workers with other %s have another', (_, capabilities, other) => {
  const { id } = describeProfile(worker(['A']), pool);
  expect(describeProfile(capabilities, other).id).not.toBe(id);
});
