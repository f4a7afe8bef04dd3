import { describe, expect, test } from '@jest/globals';
import { systemClock } from '@tiercel/runtime';
import type { AttemptRequest, AttemptResult, Backend } from './backend.ts';
import { AttemptError, AttemptStopped, JobError, serviceError } from './failures.ts';
import { chooseTiers, RoutingFailed, TierRouter } from './router.ts';

const request: AttemptRequest = {
  promptId: 'x',
  graph: {},
  promptText: '{}',
  extraPnginfoText: undefined,
  outputIds: [],
  secretsText: undefined,
  note: undefined,
};

const done: AttemptResult = {
  outputs: {},
  meta: {},
  model: 'm',
  droppedParams: [],
  sketch: false,
};

function backend(name: string, run: Backend['run'], more: Partial<Backend> = {}): Backend {
  return { name, driver: 'test', timeoutMs: 1_000, supports: () => ({ ok: true }), run, ...more };
}

const listener = {
  cached: () => undefined,
  nodeStarted: () => undefined,
  progress: () => undefined,
  executed: () => undefined,
  nodeFinished: () => undefined,
  relay: () => undefined,
  text: () => undefined,
};

function route(backends: Backend[], signal = new AbortController().signal) {
  return new TierRouter(backends, systemClock).run(request, {
    signal,
    listener,
    remember: () => Promise.resolve(),
  });
}

describe('choosing tiers', () => {
  test('keeps the configured order and says why a tier is left out', () => {
    const choice = chooseTiers([
      { name: 'a', support: { ok: true } },
      { name: 'b', support: { ok: false, reason: 'node 3 is a LoRA' } },
      { name: 'c', support: { ok: true } },
    ]);
    expect(choice).toEqual({
      order: ['a', 'c'],
      skipped: [{ tier: 'b', reason: 'node 3 is a LoRA' }],
    });
  });
});

describe('running on tiers', () => {
  test('the first that can serves the job, and the report says so', async () => {
    const { report } = await route([backend('a', () => Promise.resolve(done))]);
    expect(report).toMatchObject({
      served_by: { tier: 'a', driver: 'test', model: 'm' },
      attempts: [{ tier: 'a', outcome: 'ok' }],
      degraded: false,
    });
  });

  test('a backend in trouble hands over to the next, and both attempts are told', async () => {
    const { report } = await route([
      backend('a', () => Promise.reject(new AttemptError('server', 'HTTP 500'))),
      backend('b', () => Promise.resolve(done)),
    ]);
    expect(report).toMatchObject({
      served_by: { tier: 'b' },
      degraded: true,
      attempts: [
        { tier: 'a', outcome: 'server', message: 'HTTP 500' },
        { tier: 'b', outcome: 'ok' },
      ],
    });
  });

  test.each(['caller', 'safety'] as const)('a %s error is never tried elsewhere', async (kind) => {
    let asked = false;
    const second = backend('b', () => {
      asked = true;
      return Promise.resolve(done);
    });
    const first = backend('a', () => Promise.reject(new AttemptError(kind, 'no')));
    await expect(route([first, second])).rejects.toBeInstanceOf(RoutingFailed);
    expect(asked).toBe(false);
  });

  test('a failed node ends the job: another tier would fail alike', async () => {
    const failure = serviceError('node_failed', 'boom\n');
    const routed = route([
      backend('a', () => Promise.reject(failure)),
      backend('b', () => Promise.resolve(done)),
    ]);
    await expect(routed).rejects.toMatchObject({
      cause: failure,
      report: { attempts: [{ tier: 'a', outcome: 'node_failed' }] },
    });
  });

  test('an attempt over its limit is stopped and the next tier is asked', async () => {
    const slow = backend(
      'slow',
      (_request, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            reject(new AttemptStopped({ nodeId: '1', nodeType: 'A', executed: [] }));
          });
        }),
      { timeoutMs: 30 },
    );
    const { report } = await route([slow, backend('b', () => Promise.resolve(done))]);
    expect(report.attempts.map(({ outcome }) => outcome)).toEqual(['timeout', 'ok']);
  });

  test('when no tier can, the error names each and its reason', async () => {
    const unable = backend('a', () => Promise.resolve(done), {
      supports: () => ({ ok: false, reason: 'node 1 has the unknown class X' }),
    });
    const routed = route([unable]);
    await expect(routed).rejects.toMatchObject({ report: { attempts: [] } });
    const { cause } = (await routed.catch((error: unknown) => error)) as RoutingFailed;
    expect(cause).toBeInstanceOf(JobError);
    expect((cause as JobError).details.exception_message).toContain(
      'a: node 1 has the unknown class X',
    );
  });
});
