import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, test } from '@jest/globals';
import { makeTempFolder, stopEverything } from '../cleanup.ts';
import { http } from '../raw-http.ts';
import { spawnProcess } from '../spawned-process.ts';
import { until } from '../until.ts';
import type { FakeServiceOrder, FakeServiceState } from './control.ts';
import { inspectPicture } from './inspect-picture.ts';
import { startFakeTurbo } from './turbo.ts';
import { VENDORS } from './vendors-under-test.ts';

afterAll(stopEverything);

async function control(url: string, order: FakeServiceOrder): Promise<FakeServiceState> {
  const response = await http(url).request('PUT', '/__control', order);
  expect([response.status, response.text]).toEqual([200, expect.any(String)]);
  return response.json() as unknown as FakeServiceState; // the service wrote it in this shape
}

async function readState(url: string): Promise<FakeServiceState> {
  const response = await http(url).get('/__control');
  return response.json() as unknown as FakeServiceState; // as above
}

async function ask(url: string): Promise<number> {
  return (await http(url).post('/generate', { prompts: ['x'], width: 64, height: 64 })).status;
}

describe.each(VENDORS)('pictures of $name', ({ start, ask, read }) => {
  test('are whole, of the asked size, and the same for the same request', async () => {
    const { url } = await start();
    const [first, second] = [await ask(url), await ask(url)];
    expect(read(first).map(inspectPicture)).toMatchObject([
      { width: 512, height: 256, isWhole: true },
    ]);
    expect(read(second)).toEqual(read(first));
  });
});

describe('the control route', () => {
  test('sets faults and latency, changes what is given, and ends the fault', async () => {
    const { url, setFault } = await startFakeTurbo();
    setFault('error');
    expect(await ask(url)).toBe(500);
    const state = await control(url, { fault: 'quota', rate: 0.5, latencyMs: 1 });
    expect(state).toMatchObject({ fault: { name: 'quota', rate: 0.5 }, latencyMs: 1 });
    expect((await control(url, { rate: 1 })).fault).toEqual({ name: 'quota', rate: 1 });
    expect(await ask(url)).toBe(402);
    expect(await control(url, { fault: null })).toMatchObject({ fault: null, latencyMs: 1 });
    expect(await ask(url)).toBe(200);
  });

  test.each([{ fault: 'fire' }, { rate: 'often' }, { speed: 1 }, []])(
    'refuses %j',
    async (order) => {
      const { url } = await startFakeTurbo();
      expect((await http(url).request('PUT', '/__control', order)).status).toBe(400);
      expect((await readState(url)).fault).toBeNull();
    },
  );

  test('counts requests, what runs, what ran at once, and clients that went', async () => {
    const { url, requests, setLatency } = await startFakeTurbo({ latencyMs: 60_000 });
    const gone = http(url).post('/generate', { prompts: ['gone'] }, { timeoutMs: 500 });
    const other = http(url).post('/generate', { prompts: ['too'] }, { timeoutMs: 500 });
    await until(async () => (await readState(url)).counts.running === 2);
    await expect(gone).rejects.toThrow('timed out');
    await expect(other).rejects.toThrow('timed out');
    await until(async () => (await readState(url)).counts.running === 0);
    setLatency(0);
    expect(await ask(url)).toBe(200);
    const counts = { requests: 3, pictures: 3, running: 0, maxRunning: 2, aborted: 2, faults: 0 };
    expect((await readState(url)).counts).toEqual(counts);
    expect(requests().map(({ method, path }) => `${method} ${path}`)).toEqual(
      Array(3).fill('POST /generate'),
    );
    expect(requests().at(-1)?.body).toEqual({ prompts: ['x'], width: 64, height: 64 });
  });
});

describe('a fault', () => {
  test('meets the share of requests it is given, and the same ones for the same seed', async () => {
    const { url, setFault, state } = await startFakeTurbo();
    const run = async (seed: number): Promise<number[]> => {
      setFault({ name: 'error', rate: 0.5, seed });
      const statuses: number[] = [];
      for (let count = 0; count < 60; count += 1) statuses.push(await ask(url));
      expect(state().counts.faults).toBe(statuses.filter((status) => status === 500).length);
      return statuses;
    };
    const first = await run(1);
    const share = first.filter((status) => status === 500).length / first.length;
    expect(share).toBeGreaterThan(0.3);
    expect(share).toBeLessThan(0.7);
    expect(await run(1)).toEqual(first);
    expect(await run(2)).not.toEqual(first);
  });

  test('is over after as many times as were given', async () => {
    const { url, setFault } = await startFakeTurbo();
    setFault({ name: 'capacity', times: 2 });
    expect([await ask(url), await ask(url), await ask(url)]).toEqual([503, 503, 200]);
  });
});

describe('as a process', () => {
  // Needs a build.
  const MAIN = pathToFileURL(join(import.meta.dirname, '../../dist/fake-services/main.js')).href;

  test('a vendor serves, prints its URL as JSON, and takes orders over HTTP', async () => {
    const launcher = join(makeTempFolder(), 'launcher.mjs');
    const given = JSON.stringify(['turbo', '--latency-ms', '1']);
    writeFileSync(launcher, `process.argv.push(...${given});\nawait import('${MAIN}');\n`);
    const child = await spawnProcess({ file: launcher });
    expect(await ask(child.url)).toBe(200);
    await control(child.url, { fault: 'rate' });
    expect(await ask(child.url)).toBe(429);
    expect(await readState(child.url)).toMatchObject({ vendor: 'turbo', latencyMs: 1 });
    await until(() => child.logs.includes(JSON.stringify({ type: 'ready', url: child.url })));
    await child.kill9();
  });
});
