import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { DEFAULT_TENANT, RedisNames } from '@tiercel/contracts';
import { GraphAnalysis } from '@tiercel/graph';
import { connectRedis, createLogger, type Redis, systemClock } from '@tiercel/runtime';
import { letTimePass, startTestRedis, stopEverything, until } from '@tiercel/testkit';
import type { AttemptListener, AttemptRequest, AttemptResult, Backend } from '../backend.ts';
import { AttemptError, AttemptStopped, JobError, serviceError } from '../failures.ts';
import type { Tier } from './attempt.ts';
import type { RoutingOptions } from './router-parts.ts';
import { RoutingFailed } from './routing-failed.ts';
import { TierStateStore } from './tier-state-store.ts';
import { TierRouter } from './tier-router.ts';

const done: AttemptResult = {
  outputs: {},
  meta: {},
  model: 'm',
  droppedParams: [],
  sketch: false,
};

let redis: Redis;
let names: RedisNames;
let runs = 0;

beforeAll(async () => {
  const log = createLogger({ level: 'silent', name: 'test' });
  redis = connectRedis((await startTestRedis()).url, 'patient', log);
});
beforeEach(() => {
  names = new RedisNames(`t${(runs += 1)}`);
});
afterAll(async () => {
  redis.disconnect();
  await stopEverything();
});

function tier(name: string, run: Backend['run'], more: Partial<Backend & Tier> = {}): Tier {
  const { quality, concurrency, hedge = false, ...rest } = more;
  const backend: Backend = {
    name,
    driver: 'test',
    timeoutMs: 5_000,
    supports: () => ({ ok: true }),
    run,
    ...rest,
  };
  return { backend, quality, concurrency, hedge };
}

const serve = () => Promise.resolve(done);
const failing = (kind: AttemptError['class'], options?: { retryAtMs?: number }) => () =>
  Promise.reject(new AttemptError(kind, `its ${kind}`, options));

function createRouter(
  tiers: readonly Tier[],
  options: Partial<RoutingOptions> = {},
  breaker = { failures: 3, openMs: 60_000, maxOpenMs: 60_000 },
) {
  return new TierRouter({
    tiers,
    tierStates: new TierStateStore({ redis, names, clock: systemClock, breaker }),
    clock: systemClock,
    options: { policy: 'any', patienceMs: 0, ...options },
    observer: { attempted: () => undefined, served: () => undefined },
    log: createLogger({ level: 'silent', name: 'test' }),
    stored: undefined,
  });
}

const quiet = {
  runBegins: () => undefined,
  picture: () => undefined,
  cached: () => undefined,
  nodeStarted: () => undefined,
  progress: () => undefined,
  executed: () => undefined,
  nodeFinished: () => undefined,
  relay: () => undefined,
  text: () => undefined,
};

function route(
  router: TierRouter,
  more: Partial<AttemptRequest> = {},
  signal = new AbortController().signal,
  listener: AttemptListener = quiet,
) {
  const request: AttemptRequest = {
    tenant: DEFAULT_TENANT,
    promptId: 'x',
    graph: {},
    analysis: new GraphAnalysis({}, []),
    promptText: '{}',
    extraDataText: '{}',
    outputIds: [],
    secretsText: undefined,
    resumeToken: undefined,
    fallback: undefined,
    cache: undefined,
    deadlineMs: Date.now() + 60_000,
    ...more,
  };
  const saveResumeToken = (): Promise<void> => Promise.resolve();
  return router.run(request, { signal, listener, saveResumeToken, recorded: Promise.resolve() });
}

async function failureOf(routed: Promise<unknown>): Promise<RoutingFailed> {
  const error = await routed.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (error instanceof RoutingFailed) return error;
  throw new Error('the job was served');
}

/** A backend that ends when the test says so. */
function held() {
  let settle: { resolve(result: AttemptResult): void; reject(error: Error): void } | undefined;
  let count = 0;
  const aborted: unknown[] = [];
  return {
    run: (_request: AttemptRequest, { signal }: { signal: AbortSignal }) =>
      new Promise<AttemptResult>((resolve, reject) => {
        count += 1;
        settle = { resolve, reject };
        signal.addEventListener('abort', () => {
          aborted.push(signal.reason);
          reject(new AttemptStopped({ nodeId: '1', nodeType: 'A', executed: [] }));
        });
      }),
    end: (result: AttemptResult | Error) => {
      if (result instanceof Error) settle?.reject(result);
      else settle?.resolve(result);
    },
    get count() {
      return count;
    },
    aborted,
  };
}

describe('one job', () => {
  test('is served by the first tier that can, and the report says so', async () => {
    const { report } = await route(createRouter([tier('a', serve), tier('b', serve)]));
    expect(report).toMatchObject({
      served_by: { tier: 'a', driver: 'test', model: 'm' },
      attempts: [{ tier: 'a', class: 'ok' }],
      degraded: false,
    });
  });

  test('goes to the next tier when one is in trouble, and both attempts are told', async () => {
    const { report } = await route(createRouter([tier('a', failing('server')), tier('b', serve)]));
    expect(report).toMatchObject({
      served_by: { tier: 'b' },
      degraded: true,
      attempts: [
        { tier: 'a', class: 'server', message: 'its server' },
        { tier: 'b', class: 'ok' },
      ],
    });
  });

  test('is not degraded on a tier of equal quality', async () => {
    const tiers = [
      tier('a', failing('server'), { quality: 'high' }),
      tier('b', serve, { quality: 'high' }),
    ];
    const { report } = await route(createRouter(tiers));
    expect(report).toMatchObject({ served_by: { tier: 'b' }, degraded: false });
  });

  test.each([
    ['caller', 'request_rejected'],
    ['safety', 'content_refused'],
  ] as const)('with a %s error is never tried elsewhere', async (kind, code) => {
    const second = held();
    const router = createRouter([tier('a', failing(kind)), tier('b', second.run)]);
    const { cause, report } = await failureOf(route(router));
    expect(cause).toBeInstanceOf(JobError);
    expect((cause as JobError).code).toBe(code);
    expect(second.count).toBe(0);
    expect(report.attempts).toMatchObject([{ tier: 'a', class: kind }]);
  });

  test('whose node failed ends: another tier would fail alike', async () => {
    const failure = serviceError('node_failed', 'boom\n');
    const router = createRouter([tier('a', () => Promise.reject(failure)), tier('b', serve)]);
    expect(await failureOf(route(router))).toMatchObject({
      cause: failure,
      report: { attempts: [{ tier: 'a', class: 'node_failed' }] },
    });
  });

  test('is stopped at the limit of an attempt, and the next tier is asked', async () => {
    const slow = held();
    const router = createRouter([tier('slow', slow.run, { timeoutMs: 30 }), tier('b', serve)]);
    const { report } = await route(router);
    expect(report.attempts.map((attempt) => attempt.class)).toEqual(['timeout', 'ok']);
    expect(slow.aborted).toHaveLength(1);
  });

  test('that no tier can do is told each tier’s reason', async () => {
    const unable = tier('a', serve, {
      supports: () => ({ ok: false, reason: 'node 1 has the unknown class X' }),
    });
    const { cause, report } = await failureOf(route(createRouter([unable])));
    expect((cause as JobError).details.exception_message).toContain(
      'a: not tried: node 1 has the unknown class X',
    );
    expect(report.skipped).toEqual([{ tier: 'a', reason: 'node 1 has the unknown class X' }]);
  });

  test('that no tier can do is told in one sentence which node is in the way', async () => {
    const idle = tier('a', serve, {
      supports: () => ({ ok: false, reason: 'nothing is sampled' }),
    });
    const unable = tier('b', serve, {
      supports: () => ({
        ...{ ok: false, reason: 'node 7 (Fancy) is unheard of' },
        node: { nodeId: '7', classType: 'Fancy' },
      }),
    });
    const { cause } = await failureOf(route(createRouter([idle, unable])));
    const { exception_message, node_id, node_type, traceback } = (cause as JobError).details;
    expect(exception_message).toBe('No tier can run this prompt: node 7 (Fancy) is unheard of.');
    expect([node_id, node_type]).toEqual(['7', 'Fancy']);
    expect(traceback).toEqual([
      'a: not tried: nothing is sampled\n',
      'b: not tried: node 7 (Fancy) is unheard of\n',
    ]);
  });

  test('that all tiers failed is told what each said, in words, without a stack', async () => {
    const router = createRouter([tier('a', failing('timeout')), tier('b', failing('bad_output'))]);
    const { cause } = await failureOf(route(router));
    const { exception_message, exception_type } = (cause as JobError).details;
    expect(exception_type).toBe('no_tier');
    expect(exception_message).toMatch(/^No tier could serve this job\.\na \(test\): timeout after/);
    expect(exception_message).toContain('b (test): bad_output after');
    expect(exception_message).not.toContain('.ts');
  });

  test('with policy never stays on the first tier that can', async () => {
    const router = createRouter([tier('a', failing('server')), tier('b', serve)]);
    const { report } = await failureOf(route(router, { fallback: 'never' }));
    expect(report.attempts.map((attempt) => attempt.tier)).toEqual(['a']);
  });

  test('goes on where a dead worker left it, on the tier whose token it is', async () => {
    const tokens: (string | undefined)[] = [];
    const second = tier('b', ({ resumeToken }) => {
      tokens.push(resumeToken);
      return serve();
    });
    const resumeToken = JSON.stringify({ tier: 'b', note: 'prompt 7' });
    const { report } = await route(createRouter([tier('a', serve), second]), { resumeToken });
    expect(report.served_by?.tier).toBe('b');
    expect(tokens).toEqual(['prompt 7']);
  });
});

describe('breakers', () => {
  test('after failures in a row a tier is skipped, also by another worker', async () => {
    const down = held();
    const tiers = () => [tier('a', failing('server')), tier('b', serve)];
    const router = createRouter(tiers());
    for (let i = 0; i < 3; i += 1) await route(router);
    const elsewhere = createRouter([tier('a', down.run), tier('b', serve)]);
    const { report } = await route(elsewhere);
    expect(report.attempts).toMatchObject([{ tier: 'b', class: 'ok' }]);
    expect(report.skipped).toEqual([{ tier: 'a', reason: 'server: its server' }]);
    expect(report.degraded).toBe(true);
    expect(down.count).toBe(0);
  });

  test('a success in between starts the count anew', async () => {
    const answers = ['server', 'server', 'ok', 'server', 'server', 'ok'];
    const flaky = tier('a', () => {
      const answer = answers.shift();
      return answer === 'server' ? failing('server')() : serve();
    });
    const router = createRouter([flaky, tier('b', serve)]);
    const tiersThatServed: (string | undefined)[] = [];
    for (let i = 0; i < 6; i += 1) {
      tiersThatServed.push((await route(router)).report.served_by?.tier);
    }
    expect(tiersThatServed).toEqual(['b', 'b', 'a', 'b', 'b', 'a']);
  });

  test.each(['config', 'quota', 'rate', 'capacity'] as const)('%s opens at once', async (kind) => {
    const router = createRouter([tier('a', failing(kind)), tier('b', serve)]);
    await route(router);
    const { report } = await route(router);
    expect(report.attempts).toMatchObject([{ tier: 'b' }]);
  });

  test.each(['caller', 'safety'] as const)('%s opens nothing', async (kind) => {
    const router = createRouter([tier('a', failing(kind))]);
    for (let i = 0; i < 5; i += 1) {
      expect((await failureOf(route(router))).report.attempts).toHaveLength(1);
    }
  });

  test('one probe goes through when the pause is over, and its success closes the breaker', async () => {
    const probe = held();
    const answers = [failing('server'), probe.run];
    const first = tier('a', (request, context) => (answers.shift() ?? serve)(request, context));
    const breaker = { failures: 1, openMs: 20, maxOpenMs: 20 };
    const router = createRouter([first, tier('b', serve)], {}, breaker);
    await route(router);
    await until(() => answers.length === 1);
    let probing: Promise<unknown> | undefined;
    while (probe.count === 0) {
      // Asked until the pause is over: then exactly one of them is the probe.
      const routed = route(router);
      const early = await Promise.race([routed, until(() => probe.count > 0)]);
      if (early === true) probing = routed;
    }
    expect((await route(router)).report.served_by?.tier).toBe('b');
    probe.end(done);
    await probing;
    expect((await route(router)).report.served_by?.tier).toBe('a');
  });

  test('a lone tier that only pauses is waited for, within patience', async () => {
    const answers: Backend['run'][] = [failing('rate', { retryAtMs: Date.now() + 150 })];
    const lone = tier('a', (request, context) => (answers.shift() ?? serve)(request, context));
    const router = createRouter([lone], { patienceMs: 5_000 });
    await failureOf(route(router));
    const { report } = await route(router);
    expect(report.served_by?.tier).toBe('a');
  });
});

describe('slots', () => {
  test('a tier never has more attempts at once than it may, over two workers', async () => {
    let [now, most] = [0, 0];
    const run = async () => {
      now += 1;
      most = Math.max(most, now);
      await letTimePass(10);
      now -= 1;
      return done;
    };
    const routers = [0, 1].map(() => createRouter([tier('a', run, { concurrency: 2 })]));
    await Promise.all(routers.flatMap((router) => [0, 1, 2, 3, 4].map(() => route(router))));
    expect(most).toBe(2);
  });

  test('jobs that wait for a full tier are served in order of arrival, over two workers', async () => {
    const served: string[] = [];
    const first = held();
    const run: Backend['run'] = (request, context) => {
      served.push(request.promptId);
      return served.length === 1 ? first.run(request, context) : serve();
    };
    const routers = [0, 1].map(() => createRouter([tier('a', run, { concurrency: 1 })]));
    const jobs = ['0', '1', '2', '3', '4', '5'];
    const routed: Promise<unknown>[] = [];
    for (const [index, promptId] of jobs.entries()) {
      routed.push(route(routers[index % 2]!, { promptId }));
      const inLine = () => redis.zcard(names.tierWaiting('a'));
      if (index === 0) await until(() => served.length === 1);
      else while ((await inLine()) < index);
    }
    first.end(done);
    await Promise.all(routed);
    expect(served).toEqual(jobs);
    expect(await redis.exists(names.tierWaiting('a'), names.slotWaiters)).toBe(0);
  });

  test('a job that waits has the slot that frees first among tiers of equal quality', async () => {
    const [a, b] = [held(), held()];
    const limits = { concurrency: 1, quality: 'high' };
    const router = createRouter([tier('a', a.run, limits), tier('b', b.run, limits)]);
    const busy = [route(router), route(router)];
    await until(() => a.count === 1 && b.count === 1);
    const third = route(router);
    while ((await redis.zcard(names.tierWaiting('a'))) === 0);
    const begun = performance.now();
    b.end(done);
    await until(() => b.count === 2);
    // It was woken: without that it would ask after a second.
    expect(performance.now() - begun).toBeLessThan(800);
    b.end(done);
    expect((await third).report.served_by?.tier).toBe('b');
    a.end(done);
    await Promise.all(busy);
  });

  test('jobs that wait go to the next tier as soon as the breaker opens', async () => {
    const down = held();
    const first = tier('a', down.run, { concurrency: 1 });
    const router = createRouter([first, tier('b', serve)]);
    const jobs = [route(router)];
    await until(() => down.count === 1);
    for (let i = 1; i < 6; i += 1) jobs.push(route(router));
    while ((await redis.zcard(names.tierWaiting('a'))) < 5);
    down.end(new AttemptError('quota', 'used up'));
    const reports = (await Promise.all(jobs)).map(({ report }) => report);
    expect(reports.map(({ served_by }) => served_by?.tier)).toEqual(Array(6).fill('b'));
    expect(down.count).toBe(1);
  });

  test('a job interrupted while it waits for a slot ends', async () => {
    const busy = held();
    const router = createRouter([tier('a', busy.run, { concurrency: 1 })]);
    const first = route(router);
    await until(() => busy.count === 1);
    const stop = new AbortController();
    const second = failureOf(route(router, {}, stop.signal));
    stop.abort();
    expect((await second).cause).toBeInstanceOf(AttemptStopped);
    busy.end(done);
    await first;
  });
});

describe('hedging', () => {
  const warm = async (router: TierRouter) => {
    for (let i = 0; i < 12; i += 1) await route(router);
  };

  test('a second attempt starts when the first is slower than usual; the first answer wins', async () => {
    const slow = held();
    let isWarm = false;
    const first = tier('a', (r, c) => (isWarm ? slow.run(r, c) : serve()), { hedge: true });
    const router = createRouter([first, tier('b', serve)]);
    await warm(router);
    isWarm = true;
    await letTimePass(250); // the store's reading is renewed
    const { report } = await route(router);
    expect(report.served_by?.tier).toBe('b');
    expect(report.attempts.map((a) => [a.tier, a.class])).toEqual([
      ['a', 'outrun'],
      ['b', 'ok'],
    ]);
    expect(slow.aborted).toHaveLength(1);
  });

  test('what the winner has done is told as a run of its own, and the loser is not heard any more', async () => {
    const received: string[] = [];
    const listener = {
      ...quiet,
      runBegins: () => received.push('run'),
      nodeStarted: (nodeId: string) => received.push(`${nodeId} starts`),
      progress: (nodeId: string, value: number) => received.push(`${nodeId} at ${value}`),
    };
    const loser = held();
    let isWarm = false;
    let speak = (): void => undefined;
    const first = tier(
      'a',
      (request, context) => {
        if (!isWarm) return serve();
        speak = () => {
          context.listener.progress('first', 9, 10);
        };
        context.listener.nodeStarted('first');
        return loser.run(request, context);
      },
      { hedge: true },
    );
    const second = tier('b', async (_request, context) => {
      await Promise.resolve();
      context.listener.nodeStarted('second');
      // Before it has won its progress is nobody's business.
      context.listener.progress('second', 1, 10);
      context.claim();
      speak();
      context.listener.progress('second', 10, 10);
      return done;
    });
    const router = createRouter([first, second]);
    await warm(router);
    isWarm = true;
    await letTimePass(250); // the store's reading is renewed
    await route(router, {}, undefined, listener);
    speak();
    expect(received).toEqual(['run', 'first starts', 'run', 'second starts', 'second at 10']);
  });

  test('without hedging the first is waited for', async () => {
    const slow = held();
    let isWarm = false;
    const first = tier('a', (r, c) => (isWarm ? slow.run(r, c) : serve()));
    const second = held();
    const router = createRouter([first, tier('b', second.run)]);
    await warm(router);
    isWarm = true;
    const routed = route(router);
    await until(() => slow.count === 1);
    slow.end(done);
    expect((await routed).report.attempts).toMatchObject([{ tier: 'a', class: 'ok' }]);
    expect(second.count).toBe(0);
  });
});
