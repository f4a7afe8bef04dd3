import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { http, startSystem, stopEverything } from '@tiercel/testkit';
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
/** Prompts the server of transcript 21 had numbered before. */
const NUMBERED_BEFORE = 5;

const NODES_DIR = join(import.meta.dirname, '../../fixtures/nodes');

const used = new Set<Place>();

afterAll(stopEverything);

async function startOne(): Promise<string> {
  const { url } = await startSystem({ env: { NODES_DIR, WORKER_CONCURRENCY: '1' } });
  return url;
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

describe('one server, recordings 01 to 17 in their order', () => {
  let url = '';
  beforeAll(async () => {
    url = await startOne();
  });

  for (const name of ON_ONE_SERVER) {
    const transcript = loadTranscript(name);
    test(`${name}: ${transcript.note}`, async () => {
      const replayed = await replay(transcript, url);
      expect(findUnintended(checkTranscript(transcript, replayed))).toEqual([]);
    });
  }
});

describe('a fresh server', () => {
  test('21-big-seed: integers beyond 2^53 keep their digits', async () => {
    const url = await startOne();
    for (let count = 0; count < NUMBERED_BEFORE; count += 1) await http(url).post('/prompt', {});
    const transcript = loadTranscript('21-big-seed');
    const replayed = await replay(transcript, url);
    expect(findUnintended(checkTranscript(transcript, replayed))).toEqual([]);
    const { text } = await http(url).get('/history/0d9bb0b5-0d3c-4b7e-8a3c-1f2e3d4c5b6a');
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
