import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type PromptGraph, RedisNames } from '@tiercel/contracts';
import { GraphAnalysis } from '@tiercel/graph';
import { createServiceBackend, createTurboService } from '@tiercel/image-services';
import { createBuiltinNodes, createRegistry, NodeCache } from '@tiercel/nodes';
import { MemoryBudget } from '@tiercel/pictures';
import {
  type AttemptRequest,
  type Backend,
  type RoutedResult,
  TierStateStore,
  TierRouter,
} from '@tiercel/routing';
import { connectRedis, createLogger, type Redis, systemClock } from '@tiercel/runtime';
import { startFakeTurbo, startTestRedis, stopEverything, until } from '@tiercel/testkit';
import { createJob, MemoryFiles } from './conformance-job.test-helpers.ts';
import { RecordingListener } from './conformance-listener.test-helpers.ts';

/** What a job's graph means is worked out once, however many tiers, polls and messages ask for it. */

const log = createLogger({ level: 'silent', name: 'test' });
const LONG_MS = 60_000;
const registry = createRegistry(createBuiltinNodes());
let redis: Redis;

beforeAll(async () => {
  redis = connectRedis((await startTestRedis()).url, 'patient', log);
});
afterAll(async () => {
  redis.disconnect();
  await stopEverything();
});

function createExecutor() {
  return {
    ...{ registry, filesOf: () => new MemoryFiles(), maxPixels: 16_777_216, timeoutMs: LONG_MS },
    cache: new NodeCache({ maxBytes: 1_000_000 }),
    memory: new MemoryBudget({ maxBytes: 2 ** 30, commonShare: 3 / 8, setting: 'test' }),
  };
}

/** A tier of its own whose service answers every request with an error. */
async function openFailing(name: string): Promise<Backend> {
  const fake = await startFakeTurbo();
  fake.setFault('error');
  return createServiceBackend({
    ...createExecutor(),
    ...{ name, driver: 'turbo', mayOmit: new Set(), cacheModel: undefined, checkpoints: undefined },
    service: createTurboService({ urls: [fake.url], clock: systemClock }),
  });
}

function openRouter(backends: readonly Backend[], concurrency?: number) {
  const breaker = { failures: 1, openMs: LONG_MS, maxOpenMs: LONG_MS };
  const names = new RedisNames(`t${randomUUID()}`);
  const tierStates = new TierStateStore({ redis, names, clock: systemClock, breaker });
  const router = new TierRouter({
    tiers: backends.map((backend) => ({
      ...{ backend, quality: undefined, concurrency, hedge: false },
    })),
    ...{ tierStates, clock: systemClock, log, stored: undefined },
    options: { policy: 'any', patienceMs: 0 },
    observer: { attempted: () => undefined, served: () => undefined },
  });
  const run = (request: AttemptRequest): Promise<RoutedResult> =>
    router.run(request, {
      ...{ signal: new AbortController().signal, listener: new RecordingListener() },
      ...{ saveResumeToken: () => Promise.resolve(), recorded: Promise.resolve() },
    });
  return { tierStates, run };
}

/** A job, and how often somebody has looked at its graph. */
function createWatchedJob() {
  const { request } = createJob({ steps: 1 });
  const reads = { count: 0 };
  const watch = <T extends object>(value: T): T =>
    new Proxy(value, {
      get(target, key, receiver): unknown {
        reads.count += 1;
        return Reflect.get(target, key, receiver);
      },
      ownKeys(target) {
        reads.count += 1;
        return Reflect.ownKeys(target);
      },
    });
  const nodes = Object.entries(request.graph).map(([id, node]): [string, PromptGraph[string]] => [
    id,
    watch({ ...node, inputs: watch(node.inputs) }),
  ]);
  const graph: PromptGraph = watch(Object.fromEntries(nodes));
  const analysis = new GraphAnalysis(graph, request.outputIds);
  return { request: { ...request, graph, analysis }, reads };
}

describe('the graph of a job', () => {
  test('is read no more often for three tiers and the words on their failure than for one', async () => {
    const readsOf = async (tiers: number): Promise<number> => {
      const names = Array.from({ length: tiers }, (_, index) => `tier-${index}`);
      const { run } = openRouter(await Promise.all(names.map(openFailing)));
      const { request, reads } = createWatchedJob();
      await expect(run(request)).rejects.toMatchObject({
        report: { attempts: names.map((tier) => ({ tier, class: 'server' })) },
        cause: { details: { node_id: '3', node_type: 'KSampler' } },
      });
      return reads.count;
    };
    const once = await readsOf(1);
    expect(once).toBeGreaterThan(0);
    expect(await readsOf(3)).toBe(once);
  });

  test('is not read again each time a full tier is asked for a place', async () => {
    const backend = await openFailing('full');
    let asked = 0;
    const counted: Backend = {
      ...backend,
      supports: (request) => {
        asked += 1;
        return backend.supports(request);
      },
    };
    const { tierStates, run } = openRouter([counted], 1);
    const begun = await tierStates.begin('full', 'another job', 1, new AbortController().signal);
    const { request, reads } = createWatchedJob();
    const ended = expect(run(request)).rejects.toThrow();
    await until(() => asked > 1);
    const known = reads.count;
    const askedThen = asked;
    await until(() => asked >= askedThen + 5);
    expect(reads.count).toBe(known);
    if (typeof begun !== 'object') throw new Error('the place was not to be had');
    await begun.end({ kind: 'neutral' });
    await ended;
  });
});
