import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { startTestRedis, stopEverything, type TestRedis } from '@tiercel/testkit';
import {
  registerWorker,
  nodeClass,
  openRegistry,
  type RegistryParts,
} from './catalogue.test-helpers.ts';
import type { Catalogue } from './catalogue.ts';
import { FirstWorker } from './first-worker.ts';

const LONG_MS = 3_600_000;
const MAX_HELD = 1_000;

let server: TestRedis;
let parts: RegistryParts;
let catalogue: Catalogue;

beforeAll(async () => {
  server = await startTestRedis();
  parts = openRegistry(server.url);
});
beforeEach(async () => {
  await server.flush();
  catalogue = await parts.startCatalogue();
});
afterEach(() => {
  catalogue.stop();
});
afterAll(async () => {
  parts.close();
  await stopEverything();
});

const register = () => registerWorker(parts.registry, 'a', [nodeClass('N', '{}')]);
const stays = () => new AbortController().signal;
const refusal = (retryAfterSeconds: number) => ({ code: 'no_worker_known', retryAfterSeconds });

describe('on a system that has never had a worker', () => {
  test('whoever asks whether he may post is refused at once', async () => {
    await expect(new FirstWorker(catalogue, LONG_MS).require()).rejects.toMatchObject(refusal(1));
  });

  test('a prompt is held until the first worker announces itself', async () => {
    const firstWorker = new FirstWorker(catalogue, LONG_MS);
    let isThrough = false;
    const held = firstWorker.wait(stays).then(() => {
      isThrough = true;
    });
    await catalogue.isKnown();
    expect(isThrough).toBe(false);
    await register();
    await held;
    await firstWorker.require();
  });

  test('a prompt is refused when none comes in time', async () => {
    const firstWorker = new FirstWorker(catalogue, 20);
    await expect(firstWorker.wait(stays)).rejects.toMatchObject(refusal(5));
    await register();
    await firstWorker.wait(stays);
  });

  test('a prompt whose caller goes away is held no longer', async () => {
    const gone = new AbortController();
    const held = new FirstWorker(catalogue, LONG_MS).wait(() => gone.signal);
    gone.abort();
    await expect(held).rejects.toMatchObject({ code: 'no_worker_known' });
  });

  test('so many prompts are held and no more; one that goes gives its place to another', async () => {
    const firstWorker = new FirstWorker(catalogue, LONG_MS);
    const gone = new AbortController();
    const leaving = firstWorker.wait(() => gone.signal);
    const held = Array.from({ length: MAX_HELD - 1 }, () => firstWorker.wait(stays));
    await expect(firstWorker.wait(stays)).rejects.toMatchObject(refusal(5));
    gone.abort();
    await expect(leaving).rejects.toThrow();
    held.push(firstWorker.wait(stays));
    await register();
    await Promise.all(held);
  });
});

test('on a system that has had one, nobody waits, whether one is up or not', async () => {
  await register();
  await parts.registry.withdraw('a');
  const firstWorker = new FirstWorker(catalogue, LONG_MS);
  await firstWorker.require();
  await firstWorker.wait(stays);
});
