import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parseJson, stringifyJson } from '@tiercel/contracts';
import {
  http,
  stopEverything,
  until,
  type FakeComfyUiOptions,
  type TestSystem,
} from '@tiercel/testkit';
import { startComfyUiSystem } from './comfyui-system.ts';
import { checkTranscript } from './conformance/check-transcript.ts';
import type { Mismatch } from './conformance/compare.ts';
import {
  INTENDED_DIFFERENCES,
  type IntendedDifference,
  type Place,
} from './conformance/intended-differences.ts';
import { replay } from './conformance/replay.ts';
import { loadTranscript, type Transcript } from './conformance/transcript.ts';

/** The recordings in front, one (fake) ComfyUI behind: the tier adds and loses nothing on the way. */

/** In the order of recording: caches, file counters and history go on from one to the next. */
const TRANSCRIPTS = [
  ...['01-run-and-history', '02-fully-cached', '03-chain-batch-two-outputs', '04-partly-cached'],
  ...['05-progress-and-previews', '06-previews-with-metadata', '07-node-error', '08-interrupt'],
  ...['09-interrupt-by-id', '10-queue-order-delete-clear', '11-two-clients-scoping'],
  ...['12-ws-connect', '13-reconnect-while-running'],
];

/** What this tier does otherwise than ComfyUI itself, beside INTENDED_DIFFERENCES. */
const OF_THIS_TIER: readonly IntendedDifference[] = [
  {
    what: 'A job whose nodes are all cached has files of its own',
    reason:
      'ComfyUI names the earlier job’s files again. What a job names in Tiercel is its own: it may be removed, and kept for ' +
      'as long as its history, without regard to another. The counter of that prefix is one ahead from then on.',
    places: [
      shiftedBy(1, /02-\S+ (GET \/history\/\S+|A executed)/, 'rec', 1),
      shiftedBy(1, /11-\S+ A executed/, 'rec', 2),
      shiftedBy(1, /11-\S+ GET \/history\/\S+/, 'rec', 3),
      shiftedBy(1, /12-\S+ C2 executed/, 'rec', 4),
    ],
  },
];

/** A file counter that is ahead of the recorded one. */
function shiftedBy(by: number, place: RegExp, prefix: string, counter: number): Place {
  const name = (n: number): string => `${prefix}_${String(n).padStart(5, '0')}_.png`;
  const path = /.*\/output(s\/2)?\/images\/0\/filename/;
  return { place, path, recorded: name(counter), actual: name(counter + by) };
}

const used = new Set<Place>();

const FIXTURES = '../../packages/testkit/src/fake-comfyui/fixtures/transcripts';

afterAll(stopEverything);

async function startOne(fake: FakeComfyUiOptions): Promise<TestSystem> {
  const { system } = await startComfyUiSystem({
    servers: [fake],
    env: { WORKER_CONCURRENCY: '1' },
    // That of the recordings.
    config: 'compat: { era: "0.3.64" }\n',
  });
  // The API learns the catalogue from the worker's heartbeat.
  await until(async () => (await http(system.url).get('/object_info/SaveImage')).text.length > 2);
  return system;
}

/** The mismatches that nobody intended, as text that names them and shows both sides. */
async function findFaults(transcript: Transcript, { url }: TestSystem): Promise<string[]> {
  const mismatches = checkTranscript(transcript, await replay(transcript, url));
  return mismatches.filter((mismatch) => !isIntended(mismatch)).map(showMismatch);
}

function isIntended(mismatch: Mismatch): boolean {
  const place = [...INTENDED_DIFFERENCES, ...OF_THIS_TIER]
    .flatMap(({ places }) => places)
    .find(
      (candidate) =>
        candidate.place.exec(mismatch.place)?.[0] === mismatch.place &&
        candidate.path.exec(mismatch.path)?.[0] === mismatch.path &&
        (!('recorded' in candidate) || candidate.recorded === mismatch.recorded) &&
        (!('actual' in candidate) || candidate.actual === mismatch.actual),
    );
  if (place !== undefined) used.add(place);
  return place !== undefined;
}

function showMismatch({ place, path, recorded, actual }: Mismatch): string {
  const show = (value: unknown): string =>
    value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 300);
  return `${place} ${path}: recorded ${show(recorded)}, actual ${show(actual)}`;
}

describe('one server behind, recordings 01 to 13 in front in their order', () => {
  let system: TestSystem;
  beforeAll(async () => {
    system = await startOne({});
  });

  for (const name of TRANSCRIPTS) {
    test(`${name}: ${loadTranscript(name).note}`, async () => {
      expect(await findFaults(loadTranscript(name), system)).toEqual([]);
    });
  }
});

describe('a server that had run the workflow once before', () => {
  test('18-txt2img-stable-diffusion: a whole workflow with latent previews', async () => {
    const system = await startOne({ stepMs: 20 });
    const file = join(import.meta.dirname, FIXTURES, '18-txt2img-stable-diffusion.json');
    const recorded = parseJson(readFileSync(file, 'utf8')) as unknown as Transcript; // as the recorder wrote it
    // By another client: one that comes back soon would be told how its job had ended.
    const body = stringifyJson(recorded.http[0]?.request.body)
      .replace('"seed":7', '"seed":6')
      .replace('"cA"', '"before"');
    expect((await http(system.url).post('/prompt', body)).status).toBe(200);
    // By its name the replay knows that the socket announces preview metadata, as that of 06 does.
    const transcript = { ...recorded, name: '06-previews-with-metadata' };
    expect(await findFaults(transcript, system)).toEqual([]);
  });
});

test('every difference of this tier is still there', () => {
  const unused = OF_THIS_TIER.flatMap(({ places }) => places.filter((place) => !used.has(place)));
  expect(unused).toEqual([]);
});
