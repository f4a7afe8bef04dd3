import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { stringify as stringifyYaml } from 'yaml';
import { listFileKeys, listVariables } from './configuration-tables.ts';
import { loadConfig } from './load.ts';
import { OVERLOAD_STEPS } from './overload-schema.ts';

/** What else must be set for a maximum to be allowed. */
const BESIDE: Readonly<Record<string, object>> = {
  'worker.blockedMs': { queue: { lockMs: 3_600_000 } },
};

const IS_DURATION = /(Ms|Seconds|Minutes|Hours|Days)$/;
const durations = listFileKeys()
  .filter(({ key }) => IS_DURATION.test(key))
  .map(({ key, values }) => ({
    // A map with names of the operator's: any will do.
    key: key.replace('<name>', 'free'),
    max: Number(/(?:to|up to) (\d+)$/.exec(values)?.[1]),
    mayBeZero: values.includes(', 0 to '),
  }));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tiercel-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** The steps of `overload` come in their order: where the others are never taken any value will do. */
function withoutOtherSteps(settings: { readonly overload?: object }): object {
  if (settings.overload === undefined) return settings;
  const never = { lagMs: null, queueAgeMs: null };
  const others = Object.fromEntries(OVERLOAD_STEPS.map((name) => [name, never]));
  return { overload: { ...others, ...settings.overload } };
}

/** A file with one setting: `queue.lockMs`, `tiers[].timeoutMs`. */
function load(key: string, value: number): ReturnType<typeof loadConfig> {
  const nested = key.split('.').reduceRight<unknown>((inner, part) => {
    if (!part.endsWith('[]')) return { [part]: inner };
    return { [part.slice(0, -2)]: [{ name: 'a', driver: 'embedded', ...(inner as object) }] };
  }, value);
  const file = join(folder, 'config.yaml');
  writeFileSync(file, stringifyYaml({ ...BESIDE[key], ...withoutOtherSteps(nested as object) }));
  return loadConfig({ TIERCEL_CONFIG: file });
}

describe('durations in the configuration', () => {
  test('are all in the file, and there are some', () => {
    expect(durations.length).toBeGreaterThan(10);
    expect(listVariables().filter(({ key }) => /_(MS|SECONDS|DAYS)$/.test(key))).toEqual([]);
  });

  test.each(durations)('$key takes its maximum, $max', ({ key, max }) => {
    expect(max).toBeGreaterThan(0);
    expect(() => load(key, max)).not.toThrow();
  });

  test.each(durations)(
    '$key is refused above it, in a sentence that names both',
    ({ key, max }) => {
      for (const value of [max + 1, 2 ** 53 - 1]) {
        const named = `${key.replace('[]', '.0')}: must be at most ${max} (`;
        expect(() => load(key, value)).toThrow(named);
      }
    },
  );

  test.each(durations.filter(({ key }) => key.endsWith('Ms')))(
    '$key takes no fraction, nothing negative, and no text',
    ({ key, mayBeZero }) => {
      for (const value of [...(mayBeZero ? [] : [0]), -1, 1.5, '5s' as unknown as number]) {
        expect(() => load(key, value)).toThrow(key.replace('[]', '.0'));
      }
    },
  );
});
