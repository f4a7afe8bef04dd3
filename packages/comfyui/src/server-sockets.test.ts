import { DEFAULT_TENANT } from '@tiercel/contracts';
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { NewOutput, PromptGraph, WireEvent } from '@tiercel/contracts';
import { GraphAnalysis } from '@tiercel/graph';
import { type AttemptListener, type AttemptResult, Stopped } from '@tiercel/routing';
import { connectRedis, createLogger, NO_MASK, systemClock } from '@tiercel/runtime';
import {
  type FakeComfyUi,
  onStopEverything,
  startFakeComfyUi,
  startTestRedis,
  stopEverything,
  type TestRedis,
  until,
} from '@tiercel/testkit';
import { createComfyUiBackend, type ComfyUiBackend } from './create-comfyui-backend.ts';

/**
 * ComfyUI sends a prompt's frames to one socket, by client id. Here a worker that was taken for dead and the one
 * that goes on with its prompt both live. Nobody asks the server by the clock, so only frames tell of progress
 * and ends.
 */

const log = createLogger({ level: 'silent', name: 'test' });
const NEVER_MS = 600_000;
const nothing = (): void => undefined;

let redisServer: TestRedis;
beforeAll(async () => {
  redisServer = await startTestRedis();
});
const workers: ComfyUiBackend[] = [];
afterEach(() => {
  for (const worker of workers.splice(0)) worker.close();
});
afterAll(stopEverything);

async function createWorker(
  server: FakeComfyUi,
  clientId = `test-${randomUUID()}`,
): Promise<ComfyUiBackend> {
  const redis = connectRedis(redisServer.url, 'blocking', log);
  onStopEverything(() => {
    redis.disconnect();
  });
  const worker = createComfyUiBackend({
    ...{ name: 'gpu', urls: [server.url], timeoutMs: NEVER_MS, redis, log, clock: systemClock },
    ...{ clientId, prefix: `test-${randomUUID()}`, secretKey: Buffer.alloc(32) },
    filesOf: () => ({
      openInput: () => Promise.reject(new Error('no inputs here')),
      saveOutput: ({ type, prefix }: NewOutput) =>
        Promise.resolve({ filename: `${prefix}.png`, subfolder: '', type }),
    }),
    run: { checkMs: NEVER_MS, lostAfterMs: NEVER_MS },
    unavailableMs: NEVER_MS,
  });
  workers.push(worker);
  await worker.ready();
  await until(async () => (await server.state()).sockets.includes(clientId));
  return worker;
}

interface Run {
  readonly result: Promise<AttemptResult>;
  /** What was noted for whoever goes on with the prompt; undefined when it was not sent by this run. */
  readonly resumeToken: () => string | undefined;
  /** Resolves with the next step that is told. */
  readonly goesOn: () => Promise<number>;
  /** Somebody else has the job. */
  readonly lose: () => Promise<void>;
}

function run(worker: ComfyUiBackend, steps: number, resumeToken?: string): Run {
  const graph: PromptGraph = {
    '1': { class_type: 'SlowPreview', inputs: { steps, delay: 0.02, fail_at: -1 } },
    '2': { class_type: 'PreviewImage', inputs: { images: ['1', 0] } },
  };
  const progressValues: number[] = [];
  const listener: AttemptListener = {
    ...{ cached: nothing, nodeStarted: nothing, progress: nothing, executed: nothing },
    ...{ nodeFinished: nothing, text: nothing, runBegins: nothing, picture: nothing },
    relay: (events: readonly WireEvent[]) => {
      for (const { type, data } of events) {
        if (type === 'progress') progressValues.push((data as { value: number }).value);
      }
    },
  };
  const stop = new AbortController();
  let noted: string | undefined;
  const request = {
    tenant: DEFAULT_TENANT,
    ...{ promptId: `job-${steps}`, graph, promptText: JSON.stringify(graph), outputIds: ['2'] },
    analysis: new GraphAnalysis(graph, ['2']),
    ...{ extraDataText: '{}', resumeToken, secretsText: undefined },
    ...{ fallback: undefined, cache: undefined, deadlineMs: Date.now() + NEVER_MS },
  };
  const result = worker.run(request, {
    ...{ signal: stop.signal, listener, claim: nothing, recorded: new Promise<void>(nothing) },
    ...{ hasAlternative: false, expectedMs: undefined },
    mask: NO_MASK,
    saveResumeToken: (text: string) => {
      noted = text;
      return Promise.resolve();
    },
  });
  result.catch(nothing); // of a run that is lost
  return {
    ...{ result, resumeToken: () => noted },
    goesOn: () => {
      const before = progressValues.length;
      return until(() => progressValues.length > before && progressValues.at(-1));
    },
    lose: async () => {
      stop.abort(new Stopped('claim_lost'));
      await expect(result).rejects.toThrow();
    },
  };
}

describe('a worker that was taken for dead', () => {
  test('hears its next prompt, while and after the other goes on with the former', async () => {
    const server = await startFakeComfyUi();
    const [first, second] = [await createWorker(server), await createWorker(server)];
    const former = run(first, 100);
    await former.goesOn();
    const taken = run(second, 100, former.resumeToken());
    await taken.goesOn();
    await former.lose();
    const next = run(first, 101);
    await taken.goesOn();
    expect(Object.keys((await taken.result).outputs)).toEqual(['2']);
    await next.goesOn();
    expect(Object.keys((await next.result).outputs)).toEqual(['2']);
  });

  test.each([
    ['that it has lost', true],
    ['before it knows that it was lost', false],
  ])('hears a prompt of its own, %s, when the other dies', async (_, isKnown) => {
    const server = await startFakeComfyUi();
    const first = await createWorker(server, 'first');
    const second = await createWorker(server, 'second');
    const former = run(first, 100);
    await former.goesOn();
    const taken = run(second, 100, former.resumeToken());
    await taken.goesOn();
    if (isKnown) await former.lose();
    second.close();
    // The server has forgotten both: the first one's id went with the socket that came last under it.
    const isGone = (sid: string): boolean => sid !== 'first' && !sid.startsWith('second');
    await until(async () => (await server.state()).sockets.every(isGone));
    const again = run(first, 100, former.resumeToken());
    await again.goesOn();
    if (!isKnown) await former.lose();
    await again.goesOn();
    expect(Object.keys((await again.result).outputs)).toEqual(['2']);
    await taken.lose();
  });
});
