import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  createAutomatic1111Service,
  createCloudflareService,
  createOpenAiService,
  createPollinationsService,
  createTurboService,
} from '@tiercel/image-services';
import { AttemptError, AttemptStopped, Stopped } from '@tiercel/routing';
import { connectRedis, createLogger, type Redis, systemClock } from '@tiercel/runtime';
import {
  findDeadUrl,
  http,
  startFakeAutomatic1111,
  startFakeCloudflare,
  startFakeComfyUi,
  startFakeOpenAi,
  startFakePollinations,
  startFakeTurbo,
  startTestRedis,
  stopEverything,
  until,
} from '@tiercel/testkit';
import {
  createJob,
  failureOf,
  readPixels,
  startRun,
  type Run,
} from './conformance-job.test-helpers.ts';
import {
  comfyRig,
  embeddedRig,
  KEY,
  serviceRig,
  type Bench,
  type Rig,
} from './conformance-rigs.test-helpers.ts';
import { itServes, picturesOf } from './conformance-serving.test-helpers.ts';

let redis: Redis;
const rigs: readonly Rig[] = [
  serviceRig({
    name: 'cloudflare',
    start: () => startFakeCloudflare({ apiKey: KEY, accountId: 'acc' }),
    create: (url) =>
      createCloudflareService({
        ...{ url: `${url}/client/v4`, accountId: 'acc', apiKey: KEY },
        model: '@cf/lykon/dreamshaper-8-lcm',
      }),
    takesInit: true,
  }),
  serviceRig({
    name: 'openai',
    start: () => startFakeOpenAi({ apiKey: KEY }),
    create: (url) => createOpenAiService({ url: `${url}/v1`, apiKey: KEY, model: 'gpt-image-1.5' }),
    takesInit: true,
  }),
  serviceRig({
    name: 'automatic1111',
    start: () => startFakeAutomatic1111({ auth: `me:${KEY}` }),
    create: (url) => createAutomatic1111Service({ url, apiKey: `me:${KEY}` }),
    ...{ takesInit: true, splits: true },
    isRendering: async (url) => {
      const headers = { authorization: `Basic ${Buffer.from(`me:${KEY}`).toString('base64')}` };
      const progress = await http(url).get('/sdapi/v1/progress', { headers });
      return (progress.json() as { state: { job: string } }).state.job !== '';
    },
  }),
  serviceRig({
    name: 'turbo',
    start: () => startFakeTurbo(),
    create: (url) => createTurboService({ urls: [url], clock: systemClock }),
    splits: true,
  }),
  serviceRig({
    name: 'pollinations',
    start: () => startFakePollinations({ apiKey: KEY }),
    create: (url) => createPollinationsService({ url, apiKey: KEY, model: 'flux' }),
  }),
  comfyRig(
    () => startFakeComfyUi({ models: { loras: ['detail.safetensors'] } }),
    () => redis,
  ),
  embeddedRig,
];

/** Vendors' own words, none of which a caller may see. */
const VENDORS_WORDS = /AiError|The server had|tensors|gpu\.invalid|Traceback|Rate limited|hotel/;

beforeAll(async () => {
  const log = createLogger({ level: 'silent', name: 'test' });
  redis = connectRedis((await startTestRedis()).url, 'blocking', log);
});
afterAll(async () => {
  redis.disconnect();
  await stopEverything();
});

describe.each(rigs)('$name', (rig) => {
  const opened: Bench[] = [];
  let bench: Bench;

  async function open(): Promise<Bench> {
    const fresh = await rig.open();
    opened.push(fresh);
    return fresh;
  }
  beforeAll(async () => {
    bench = await open();
  });
  afterAll(() => {
    for (const { close } of opened) close();
  });

  /** A job that is being painted, and that nobody will see the end of. */
  async function startLong({ vendor, ...place }: Bench): Promise<Run & { stop: AbortController }> {
    await vendor?.slowDown();
    const stop = new AbortController();
    const run = startRun(place, createJob({ steps: 10_000 }), { signal: stop.signal });
    await until(() => run.events.of('started', run.job.sampler).length > 0);
    if (vendor === undefined) await until(() => run.events.of('progress').length > 0);
    else await until(() => vendor.isAtWork());
    return { ...run, stop };
  }

  itServes(rig, { bench: () => bench, open });

  it('ends at an interrupt, names the node, stores nothing more, and frees the vendor', async () => {
    const { files, vendor } = bench;
    const { stop, events, ...run } = await startLong(bench);
    const stored = files.count;
    stop.abort(new Stopped('interrupt'));
    const error = await failureOf(run);
    expect(error).toBeInstanceOf(AttemptStopped);
    expect(error).toMatchObject({ nodeId: run.job.sampler });
    const before = [...events.all];
    if (vendor !== undefined) await until(async () => !(await vendor.isAtWork()));
    await vendor?.recover();
    await startRun(bench, createJob({ seed: 40 })).result;
    expect(files.count).toBe(stored + 1);
    expect(events.all).toEqual(before);
  });

  it('asks nothing of its vendor for a job that is stopped already', async () => {
    const asked = await bench.vendor?.asked();
    const stored = bench.files.count;
    const signal = AbortSignal.abort(new Stopped('interrupt'));
    const run = startRun(bench, createJob({ seed: 41 }), { signal });
    expect(await failureOf(run)).toBeInstanceOf(AttemptStopped);
    expect([await bench.vendor?.asked(), bench.files.count]).toEqual([asked, stored]);
    expect(run.events.of('started')).toEqual([]);
  });

  it('ends at its time limit although the vendor has fallen silent', async () => {
    const fresh = await open();
    const { stop, ...run } = await startLong(fresh);
    await fresh.vendor?.hang();
    let error: unknown;
    void failureOf(run).then((reason) => (error = reason));
    const late = new AttemptError('timeout', 'no result within 50 ms');
    stop.abort(late);
    await until(() => error !== undefined);
    expect(error === late || error instanceof AttemptStopped).toBe(true);
    expect(fresh.files.count).toBe(0);
  });

  const { openAt } = rig;
  if (openAt !== undefined) {
    it('tells a vendor that is down as a trouble of the network, and no secret', async () => {
      const place = openAt(await findDeadUrl());
      opened.push({ ...place, vendor: undefined });
      const error = await failureOf(startRun(place));
      expect(error).toBeInstanceOf(AttemptError);
      expect(error).toMatchObject({ class: 'network' });
      checkDiscreet(error);
    });
  }

  for (const { fault, expected } of rig.faults) {
    it(`tells ${fault} as ${expected}, in its own words, and serves when it is over`, async () => {
      await bench.vendor?.fail(fault);
      const stored = bench.files.count;
      const run = startRun(bench, createJob({ seed: 51 }));
      if (expected === 'served') {
        const result = await run.result;
        const { width, height } = await readPixels(picturesOf(bench, run, result)[0]);
        expect([width, height]).toEqual([256, 256]);
        const change = { param: 'size', asked: '256x256', used: expect.stringMatching(/^\d+x\d+/) };
        expect(result.changedParams).toContainEqual(change);
      } else {
        const error = await failureOf(run);
        expect(error).toBeInstanceOf(AttemptError);
        expect(error).toMatchObject({ class: expected });
        checkDiscreet(error);
        expect(bench.files.count).toBe(stored);
      }
      await bench.vendor?.recover();
      await startRun(bench, createJob({ seed: 52 })).result;
    });
  }

  if (rig.splits) {
    it('paints a batch in halves when its vendor is out of memory, if the caller lets it', async () => {
      await bench.vendor?.fail('out_of_memory', 1);
      const run = startRun(bench, createJob({ batch: 2, seed: 61 }));
      const result = await run.result;
      expect(picturesOf(bench, run, result)).toHaveLength(2);
      expect(result.changedParams).toContainEqual({ param: 'batch', asked: 2, used: '1 at once' });
      await bench.vendor?.fail('out_of_memory', 1);
      const strict = createJob({ batch: 2, seed: 62 }, { fallback: 'never' });
      expect(await failureOf(startRun(bench, strict))).toMatchObject({ class: 'capacity' });
      await bench.vendor?.recover();
    });
  }

  if (rig.claims) {
    it('stores nothing when another attempt has won meanwhile', async () => {
      const stored = bench.files.count;
      const lost = new AttemptStopped({ nodeId: null, nodeType: null, executed: [] });
      const claim = () => {
        throw lost;
      };
      expect(await failureOf(startRun(bench, createJob(), { claim }))).toBe(lost);
      expect(bench.files.count).toBe(stored);
    });
  }
});

/** Callers see the message, operators the whole. */
function checkDiscreet(error: unknown): void {
  expect((error as Error).message).not.toMatch(VENDORS_WORDS);
  const shown = inspect(error, { depth: 20, showHidden: true });
  const login = Buffer.from(`me:${KEY}`).toString('base64');
  for (const secret of [KEY, login]) expect(shown).not.toContain(secret);
}
