import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parseJson, stringifyJson } from '@tiercel/contracts';
import { checkTranscript } from '../../../../tests/e2e/conformance/check-transcript.ts';
import type { Mismatch } from '../../../../tests/e2e/conformance/compare.ts';
import { replay } from '../../../../tests/e2e/conformance/replay.ts';
import { loadTranscript, type Transcript } from '../../../../tests/e2e/conformance/transcript.ts';
import { makeTempFolder, onStopEverything, stopEverything } from '../cleanup.ts';
import { http } from '../raw-http.ts';
import type { FakeComfyUiOptions } from './options.ts';
import { serveFakeComfyUi } from './server.ts';

/** Recorded in this order on one server: caches, counters and history go on. */
const TRANSCRIPTS = [
  ...['01-run-and-history', '02-fully-cached', '03-chain-batch-two-outputs', '04-partly-cached'],
  ...['05-progress-and-previews', '06-previews-with-metadata', '07-node-error', '08-interrupt'],
  ...['09-interrupt-by-id', '10-queue-order-delete-clear', '11-two-clients-scoping'],
  ...['12-ws-connect', '13-reconnect-while-running', '14-prompt-validation', '15-upload-view'],
  ...['16-history-paging', '17-misc-routes'],
];

/** What the fake leaves to others. */
const INTENDED: readonly RegExp[] = [
  // Python goes through sets: the order of errors, and of two outputs, is another in every process.
  /^14-prompt-validation POST \/prompt \/json\/node_errors\/1\/errors\/order$/,
  /^21-big-seed A \/order$/,
  // How far the first prompt was when the next came.
  /^15-upload-view A status \/broadcasts$/,
  // Pictures are not converted, and there are neither users' files nor tooltips nor logs.
  /^15-upload-view GET \/view\?.*(preview|channel)=/,
  /^17-misc-routes .*\/(output_)?tooltips?$/,
  /^17-misc-routes .*\/description$/,
  /^17-misc-routes \w+ \/(settings|userdata|internal|experiment)/,
];

afterAll(stopEverything);

async function serve(options: FakeComfyUiOptions): Promise<string> {
  const folder = makeTempFolder();
  const server = await serveFakeComfyUi({ folder, compactJson: true, ...options }, () => undefined);
  onStopEverything(() => {
    server.close();
  });
  return server.url;
}

/** The mismatches that are not intended, as text that names them and shows both sides. */
async function compare(transcript: Transcript, url: string): Promise<string[]> {
  const mismatches = checkTranscript(transcript, await replay(transcript, url));
  return mismatches
    .filter(({ place, path }) => !INTENDED.some((intended) => intended.test(`${place} ${path}`)))
    .map(showMismatch);
}

describe('a client gets the answers and the frames of the recording, in its order', () => {
  let url: string;
  beforeAll(async () => {
    url = await serve({ checkpoints: [], extensions: [] });
  });

  for (const name of TRANSCRIPTS) {
    test(name, async () => {
      expect(await compare(loadTranscript(name), url)).toEqual([]);
    });
  }
});

describe('a server that had run the workflow once before', () => {
  let url: string;
  beforeAll(async () => {
    url = await serve({ stepMs: 20 });
    const [first] = loadOwn('18-txt2img-stable-diffusion').http;
    const body = stringifyJson(first?.request.body).replace('"seed":7', '"seed":6');
    expect((await http(url).post('/prompt', body)).status).toBe(200);
  });

  const names = ['18-txt2img-stable-diffusion', '19-txt2img-interrupted', '20-img2img-batch-post'];
  for (const name of names) {
    test(name, async () => {
      const recorded = loadOwn(name);
      // Of the name the replay knows which sockets announce preview metadata: here it is that of 18.
      const hasMetadata = name.startsWith('18');
      const transcript = hasMetadata
        ? { ...recorded, name: '06-previews-with-metadata' }
        : recorded;
      expect(await compare(transcript, url)).toEqual([]);
    });
  }

  test('21-big-seed', async () => {
    expect(await compare(loadTranscript('21-big-seed'), url)).toEqual([]);
    const { text } = await http(url).get('/history/0d9bb0b5-0d3c-4b7e-8a3c-1f2e3d4c5b6a');
    expect(text).toContain('"value":9007199254740993}');
  });
});

function loadOwn(name: string): Transcript {
  const file = join(import.meta.dirname, 'fixtures/transcripts', `${name}.json`);
  return parseJson(readFileSync(file, 'utf8')) as unknown as Transcript; // as the recorder wrote it
}

function showMismatch({ place, path, recorded, actual }: Mismatch): string {
  const show = (value: unknown): string =>
    value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 300);
  return `${place} ${path}: recorded ${show(recorded)}, actual ${show(actual)}`;
}
