import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { createComfyUiBackend } from '@tiercel/comfyui';
import { parseJson, type PromptGraph, RedisNames } from '@tiercel/contracts';
import { GraphAnalysis } from '@tiercel/graph';
import { createServiceBackend, createTurboService } from '@tiercel/image-services';
import { createBuiltinNodes, createRegistry, NodeCache } from '@tiercel/nodes';
import { MemoryBudget } from '@tiercel/pictures';
import {
  type AttemptRequest,
  type AttemptResult,
  type Backend,
  type RoutedResult,
  TierStateStore,
  TierRouter,
} from '@tiercel/routing';
import { connectRedis, createLogger, type Redis, systemClock } from '@tiercel/runtime';
import {
  type FakeComfyUi,
  type FakeService,
  startFakeComfyUi,
  startFakeTurbo,
  startTestRedis,
  stopEverything,
  until,
} from '@tiercel/testkit';
import { createJob, MemoryFiles } from './conformance-job.test-helpers.ts';

/** A tier that is several servers: the fault of one closes that server, never the tier, while another is in order. */

const FAULTS = ['redirect', 'unauthorized', 'rate', 'error', 'reset', 'hang'] as const;
type Fault = (typeof FAULTS)[number];

const log = createLogger({ level: 'silent', name: 'test' });
const TIMEOUT_MS = 1_500;
const LONG_MS = 60_000;
let redis: Redis;
const closers: (() => void)[] = [];

beforeAll(async () => {
  redis = connectRedis((await startTestRedis()).url, 'patient', log);
});
afterEach(() => {
  for (const close of closers.splice(0)) close();
});
afterAll(async () => {
  redis.disconnect();
  await stopEverything();
});

/** A pool whose servers can be made to fail. */
interface Pool {
  readonly backend: Backend;
  fail(server: number, fault: Fault): Promise<void>;
  /** Requests for pictures that a server was sent. */
  asked(server: number): Promise<number>;
}

async function openTurboPool(size: number): Promise<Pool> {
  const fakes: FakeService[] = await Promise.all(
    Array.from({ length: size }, () => startFakeTurbo()),
  );
  const urls = fakes.map(({ url }) => url);
  const backend = createServiceBackend({
    registry: createRegistry(createBuiltinNodes()),
    cache: new NodeCache({ maxBytes: 1_000_000 }),
    ...{ filesOf: () => new MemoryFiles(), maxPixels: 16_777_216, mayOmit: new Set() },
    memory: new MemoryBudget({ maxBytes: 2 ** 30, commonShare: 3 / 8, setting: 'test' }),
    ...{ name: 'pool', driver: 'turbo', timeoutMs: TIMEOUT_MS },
    ...{ cacheModel: undefined, checkpoints: undefined },
    service: createTurboService({ urls, clock: systemClock }),
  });
  return {
    backend,
    fail: (server, fault) => {
      fakes[server]?.setFault(fault);
      return Promise.resolve();
    },
    asked: (server) => Promise.resolve(fakes[server]?.state().counts.pictures ?? 0),
  };
}

/** @param checkpoints what each server has */
async function openComfyPool(
  size: number,
  checkpoints: readonly (readonly string[])[] = [],
): Promise<Pool> {
  const options = (index: number) => {
    const has = checkpoints[index];
    return has === undefined ? {} : { checkpoints: has };
  };
  const fakes: FakeComfyUi[] = await Promise.all(
    Array.from({ length: size }, (_, index) => startFakeComfyUi(options(index))),
  );
  const backend = createComfyUiBackend({
    ...{ name: 'pool', urls: fakes.map(({ url }) => url), timeoutMs: TIMEOUT_MS, redis, log },
    ...{ clock: systemClock, filesOf: () => new MemoryFiles(), unavailableMs: LONG_MS },
    ...{ clientId: `test-${randomUUID()}`, prefix: `test-${randomUUID()}` },
    secretKey: Buffer.alloc(32),
    run: { checkMs: LONG_MS, lostAfterMs: LONG_MS },
  });
  closers.push(() => {
    backend.close();
  });
  await backend.ready();
  for (const fake of fakes) await until(async () => (await fake.state()).sockets.length > 0);
  return {
    backend,
    fail: async (server, fault) => {
      const fake = fakes[server];
      if (fake === undefined) throw new Error('no such server');
      await failComfy(fake, fault);
    },
    asked: async (server) => {
      // One that is dead was not asked.
      const state = await fakes[server]?.state().catch(() => undefined);
      return state?.requests['POST /prompt'] ?? 0;
    },
  };
}

async function failComfy(fake: FakeComfyUi, fault: Fault): Promise<void> {
  const path = '^POST /prompt$';
  const statuses = { redirect: 302, unauthorized: 401, rate: 429, error: 500 };
  if (fault === 'hang') await fake.pauseExecution();
  else if (fault === 'reset') await fake.kill9();
  else await fake.failRoute(path, { status: statuses[fault], body: 'elsewhere' });
}

/** A router over the pool and one more tier, and what the store says of the pool. */
function openRouter({ backend }: Pool) {
  const spare: Backend = {
    ...{ name: 'spare', driver: 'test', timeoutMs: LONG_MS },
    supports: () => ({ ok: true }),
    run: (): Promise<AttemptResult> =>
      Promise.resolve({ outputs: {}, meta: {}, model: null, droppedParams: [], sketch: false }),
  };
  const breaker = { failures: 1, openMs: LONG_MS, maxOpenMs: LONG_MS };
  const names = new RedisNames(`t${randomUUID()}`);
  const tierStates = new TierStateStore({ redis, names, clock: systemClock, breaker });
  const router = new TierRouter({
    tiers: [backend, spare].map((one) => ({
      ...{ backend: one, quality: undefined, concurrency: undefined, hedge: false },
    })),
    ...{ tierStates, clock: systemClock, log, stored: undefined },
    options: { policy: 'any', patienceMs: 0 },
    observer: { attempted: () => undefined, served: () => undefined },
  });
  return {
    run: (request: AttemptRequest): Promise<RoutedResult> =>
      router.run(request, {
        signal: new AbortController().signal,
        saveResumeToken: () => Promise.resolve(),
        recorded: Promise.resolve(),
        listener: {
          ...{ cached: () => undefined, nodeStarted: () => undefined, progress: () => undefined },
          ...{ executed: () => undefined, nodeFinished: () => undefined },
          ...{ relay: () => undefined, text: () => undefined },
          ...{ runBegins: () => undefined, picture: () => undefined },
        },
      }),
    openUntilMs: async (): Promise<number> => {
      tierStates.forget();
      return (await tierStates.read(['pool'])).get('pool')?.openUntilMs ?? 0;
    },
  };
}

let seed = 1;
function nextRequest(checkpoint?: string): AttemptRequest {
  const { request } = createJob({ seed: (seed += 1), steps: 1 });
  if (checkpoint === undefined) return request;
  const promptText = request.promptText.replace('v1-5-pruned-emaonly.safetensors', checkpoint);
  // The same prompt with another name in it.
  const graph = parseJson(promptText) as unknown as PromptGraph;
  return { ...request, promptText, graph, analysis: new GraphAnalysis(graph, request.outputIds) };
}

const servedBy = ({ report }: RoutedResult): string | undefined => report.served_by?.tier;

describe.each([
  ['turbo', openTurboPool],
  ['comfyui', openComfyPool],
])('a pool of %s servers', (_, open) => {
  test.each(FAULTS)(
    'of which one is at fault (%s) leaves that one alone and serves',
    async (fault) => {
      const pool = await open(2);
      await pool.fail(0, fault);
      const router = openRouter(pool);
      const served: (string | undefined)[] = [];
      for (let count = 0; count < 5; count += 1)
        served.push(servedBy(await router.run(nextRequest())));
      // Whose time ran out on that server goes elsewhere.
      expect(served.filter((tier) => tier !== 'pool')).toHaveLength(fault === 'hang' ? 1 : 0);
      expect(await pool.asked(0)).toBeLessThanOrEqual(1);
      expect(await router.openUntilMs()).toBe(0);
    },
  );

  test.each(['redirect', 'error'] as const)(
    'of which all are at fault (%s) closes the tier',
    async (fault) => {
      const pool = await open(2);
      await Promise.all([pool.fail(0, fault), pool.fail(1, fault)]);
      const router = openRouter(pool);
      expect(servedBy(await router.run(nextRequest()))).toBe('spare');
      const closedMs = (await router.openUntilMs()) - Date.now();
      expect(closedMs).toBeGreaterThan(fault === 'redirect' ? 500_000 : 30_000);
    },
  );
});

test('a server that alone has a model and is at fault closes itself, not the tier for other prompts', async () => {
  const pool = await openComfyPool(2, [['rare.safetensors'], ['v1-5-pruned-emaonly.safetensors']]);
  await pool.fail(0, 'redirect');
  const router = openRouter(pool);
  const rare = await router.run(nextRequest('rare.safetensors'));
  expect(rare.report).toMatchObject({
    served_by: { tier: 'spare' },
    attempts: [
      { tier: 'pool', class: 'config' },
      { tier: 'spare', class: 'ok' },
    ],
  });
  expect(await router.openUntilMs()).toBe(0);
  expect(servedBy(await router.run(nextRequest()))).toBe('pool');
});
