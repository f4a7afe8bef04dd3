import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { http, startSystem, stopEverything, type TestSystem } from '@tiercel/testkit';
import { checkTranscript } from './check-transcript.ts';
import type { Mismatch } from './compare.ts';
import { INTENDED_DIFFERENCES, type Place } from './intended-differences.ts';
import { replay } from './replay.ts';
import { loadTranscript } from './transcript.ts';

/** Recorded in this order on one server, so that caches, counters and history go on from one to the next. */
const ON_ONE_SERVER = [
  ...['01-run-and-history', '02-fully-cached', '03-chain-batch-two-outputs', '04-partly-cached'],
  ...['05-progress-and-previews', '06-previews-with-metadata', '07-node-error', '08-interrupt'],
  ...[
    '09-interrupt-by-id',
    '10-queue-order-delete-clear',
    '11-two-clients-scoping',
    '12-ws-connect',
  ],
  ...['13-reconnect-while-running', '14-prompt-validation', '15-upload-view', '16-history-paging'],
  '17-misc-routes',
];
/** Prompts the server of recording 21 had numbered before. */
const NUMBERED_BEFORE = 5;

const NODES_DIR = join(import.meta.dirname, '../../fixtures/nodes');

const used = new Set<Place>();

afterAll(stopEverything);

const RECORDED_ERA = 'compat: { era: "0.3.64" }\n';

/** @param configYaml without it, that of the era of the recordings */
function startOne(configYaml = RECORDED_ERA): Promise<TestSystem> {
  return startSystem({ env: { NODES_DIR, WORKER_CONCURRENCY: '1' }, configYaml });
}

/**
 * Replays and compares. When the replay itself fails, the error has the end of every process's log.
 * @param adapt changes what came before it is compared
 */
async function findFaults(
  name: string,
  { url, apis, workers }: TestSystem,
  adapt: <T>(replayed: T) => T = (replayed) => replayed,
): Promise<Mismatch[]> {
  const transcript = loadTranscript(name);
  try {
    return findUnintended(checkTranscript(transcript, adapt(await replay(transcript, url))));
  } catch (cause) {
    const logs = [...apis, ...workers].flatMap((process) => process.logs.slice(-5));
    throw new Error(`${String(cause)}\nThe processes said:\n${logs.join('\n')}`, { cause });
  }
}

/** What nobody intended; notes which intended differences showed. */
function findUnintended(mismatches: readonly Mismatch[]): Mismatch[] {
  return mismatches.filter((mismatch) => {
    const place = INTENDED_DIFFERENCES.flatMap(({ places }) => places).find((candidate) =>
      fits(candidate, mismatch),
    );
    if (place !== undefined) used.add(place);
    return place === undefined;
  });
}

function fits(place: Place, mismatch: Mismatch): boolean {
  return (
    matchesAll(place.place, mismatch.place) &&
    matchesAll(place.path, mismatch.path) &&
    ('recorded' in place ? place.recorded === mismatch.recorded : true) &&
    ('actual' in place ? place.actual === mismatch.actual : true)
  );
}

function matchesAll(pattern: RegExp, text: string): boolean {
  return pattern.exec(text)?.[0] === text;
}

/** The same without the times at which prompts came. @param onTime told of each */
function dropCreateTimes(value: unknown, onTime: (time: unknown) => void): unknown {
  if (Array.isArray(value)) return value.map((item) => dropCreateTimes(item, onTime));
  const isPlain = value !== null && Object.getPrototypeOf(value) === Object.prototype;
  if (!isPlain) return value;
  const members = Object.entries(value as Record<string, unknown>).filter(([name, member]) => {
    if (name === 'create_time') onTime(member);
    return name !== 'create_time';
  });
  return Object.fromEntries(members.map(([name, it]) => [name, dropCreateTimes(it, onTime)]));
}

function isMissingType({ place, path, actual }: Mismatch): boolean {
  return (
    place === '14-prompt-validation POST /prompt' &&
    (actual === 'missing_node_type' || /^\/json\/error\/(?:message|extra_info)\b/.test(path))
  );
}

describe.each([
  ['0.3.64', RECORDED_ERA],
  ['newest', ''],
])('era %s, one server, recordings 01 to 17 in their order', (era, configYaml) => {
  let system: TestSystem;
  const times: unknown[] = [];
  const missingTypes: Mismatch[] = [];
  beforeAll(async () => {
    system = await startOne(configYaml);
  });

  for (const name of ON_ONE_SERVER) {
    test(`${name}: ${loadTranscript(name).note}`, async () => {
      const faults = await findFaults(
        name,
        system,
        (replayed) => dropCreateTimes(replayed, (time) => times.push(time)) as typeof replayed, // of its form
      );
      missingTypes.push(...faults.filter(isMissingType));
      expect(faults.filter((fault) => !isMissingType(fault))).toEqual([]);
    });
  }

  test('only the newest says when a prompt came, and that a class is missing', () => {
    const isNewest = era === 'newest';
    expect([times.length > 0, missingTypes.length > 0]).toEqual([isNewest, isNewest]);
    expect(times.every((time) => typeof time === 'number')).toBe(true);
  });
});

describe('a fresh server', () => {
  test('21-big-seed: integers beyond 2^53 keep their digits', async () => {
    const system = await startOne();
    const api = http(system.url);
    for (let count = 0; count < NUMBERED_BEFORE; count += 1) await api.post('/prompt', {});
    expect(await findFaults('21-big-seed', system)).toEqual([]);
    const { text } = await api.get('/history/0d9bb0b5-0d3c-4b7e-8a3c-1f2e3d4c5b6a');
    expect(text).toContain('"value":9007199254740993}');
  });
});

test('every intended difference is still there', () => {
  const unused = INTENDED_DIFFERENCES.flatMap(({ what, places }) =>
    places.filter((place) => !used.has(place)).map((place) => `${what}: ${String(place.place)}`),
  );
  expect(unused).toEqual([]);
  expect(INTENDED_DIFFERENCES.length).toBeLessThan(12);
});
