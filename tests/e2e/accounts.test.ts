import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { ChangeWatch, PolicyStore } from '@tiercel/accounts';
import { RedisNames } from '@tiercel/contracts';
import { connectRedis, createLogger, loadConfig } from '@tiercel/runtime';
import { exportJWK, generateKeyPair, SignJWT, type JWK } from 'jose';
import {
  connectSocket,
  http,
  makeTempFolder,
  onStopEverything,
  serveHttp,
  startApi,
  startSystem,
  startTestRedis,
  stopEverything,
  until,
  type TestSystem,
} from '@tiercel/testkit';
import { httpWithKey, makeKey, ROOT, runKeys } from './keys.ts';
import { post, readHistory, slow, waitForWorker } from './prompts.ts';

/** Keys made by the command, used against real processes. */

const ADMIN = 'the-admin-key-of-this-test';

afterAll(stopEverything);

describe('a system that asks who its callers are', () => {
  let system: TestSystem;
  let urls: string[];
  const ask = (url: string, key?: string, more: Omit<RequestInit, 'headers'> = {}) =>
    fetch(url, { ...more, headers: key === undefined ? {} : { 'x-api-key': key } });

  beforeAll(async () => {
    system = await startSystem({
      apis: 2,
      env: { NODES_DIR: 'tests/fixtures/nodes', LOG_LEVEL: 'trace' },
      configYaml: `auth: { mode: required, adminKey: ${ADMIN} }\napi: { metricsPort: 0 }\n`,
    });
    urls = system.apis.map(({ url }) => url);
    await waitForWorker(httpWithKey(system.url, ADMIN));
  });

  test('is healthy for whoever asks, and closed for the rest', async () => {
    for (const path of ['/health', '/health/live', '/health/ready']) {
      expect((await ask(`${system.url}${path}`)).status).toBe(200);
    }
    for (const path of [
      '/prompt',
      '/queue',
      '/history',
      '/object_info',
      '/view',
      '/ws',
      '/api/jobs',
    ]) {
      expect([path, (await ask(`${system.url}${path}`)).status]).toEqual([path, 401]);
    }
    await expect(connectSocket(system.url)).rejects.toThrow('401');
  });

  test('shows its numbers to administrators, and lets only them unload models', async () => {
    const { key } = await makeKey(system.options, '--tenant', 'numbers');
    for (const path of ['/metrics', '/internal/logs', '/free']) {
      const more = path === '/free' ? { method: 'POST', body: '{}' } : {};
      const statuses = [undefined, key, ADMIN].map(
        async (by) => (await ask(`${system.url}${path}`, by, more)).status,
      );
      expect([path, await Promise.all(statuses)]).toEqual([path, [401, 403, 200]]);
    }
  });

  test('serves a job from post to picture to whoever has a key', async () => {
    const { key } = await makeKey(system.options, '--tenant', 'acme', '--plan', 'pro');
    const socket = await connectSocket(`${urls[1]}?token=${key}`, { clientId: 'one' });
    const api = httpWithKey(system.url, key);
    const id = await post(api, slow(2, 0.05), { client_id: 'one' });
    await socket.waitForText(
      'execution_success',
      (data) => (data as { prompt_id?: string }).prompt_id === id,
    );
    const item = await readHistory(api, id);
    const [image] = Object.values(item?.outputs ?? {})[0]?.images ?? [];
    const query = new URLSearchParams({ ...image, token: key });
    expect((await ask(`${system.url}/view?${query.toString()}`)).headers.get('content-type')).toBe(
      'image/png',
    );
    await socket.close();
  });

  test('shuts a revoked key out on every process within a second, and closes what it has open', async () => {
    const { key, id } = await makeKey(system.options, '--tenant', 'leaving');
    const job = await post(httpWithKey(system.url, key), slow(100, 0.1));
    const sockets = await Promise.all(urls.map((url) => connectSocket(`${url}?token=${key}`)));
    const streams = await Promise.all(
      urls.map(async (url) => {
        const answer = await ask(`${url}/api/jobs/${job}/events`, key);
        const reader = answer.body?.getReader();
        await reader?.read();
        return reader;
      }),
    );
    const other = await makeKey(system.options, '--tenant', 'staying');
    const staying = await connectSocket(`${system.url}?token=${other.key}`);

    const { code } = await runKeys(system.options, 'revoke', id);
    const revokedAtMs = performance.now();
    expect(code).toBe(0);
    expect(await Promise.all(sockets.map((socket) => socket.closed))).toEqual([1008, 1008]);
    for (const reader of streams) {
      await expect(
        (async () => {
          while ((await reader?.read())?.done === false);
          throw new Error('ended');
        })(),
      ).rejects.toThrow();
    }
    expect(performance.now() - revokedAtMs).toBeLessThan(1_000);
    for (const url of urls) {
      expect((await ask(`${url}/queue`, key)).status).toBe(401);
      await expect(connectSocket(`${url}?token=${key}`)).rejects.toThrow('401');
    }
    // Nobody else is disturbed.
    expect((await ask(`${system.url}/queue`, other.key)).status).toBe(200);
    await staying.close();
    await ask(`${system.url}/interrupt`, ADMIN, {
      method: 'POST',
      body: JSON.stringify({ prompt_id: job }),
    });
  });

  test('obeys within a second on every process what an administrator sets on another', async () => {
    const { key } = await makeKey(system.options, '--tenant', 'misbehaving');
    const sockets = await Promise.all(urls.map((url) => connectSocket(`${url}?token=${key}`)));
    const log = createLogger({ level: 'silent', name: 'test' });
    const connect = () => connectRedis(system.redis.url, 'subscriber', log);
    const [redis, subscriberConnection] = [connect(), connect()];
    const names = new RedisNames(system.options.redisPrefix ?? '');
    const watch = new ChangeWatch({ redis, subscriberConnection, names, log });
    const config = loadConfig({ TIERCEL_CONFIG: system.configFile });
    const policy = new PolicyStore({ redis, names, watch, config, log });
    await policy.set('tenants', 'misbehaving', { blocked: true }, { who: 'test', from: 'here' });
    const setAtMs = performance.now();
    expect(await Promise.all(sockets.map((socket) => socket.closed))).toEqual([1008, 1008]);
    expect(performance.now() - setAtMs).toBeLessThan(1_000);
    const refused = await Promise.all(urls.map((url) => ask(`${url}/queue`, key)));
    expect(refused.map(({ status }) => status)).toEqual([403, 403]);
    redis.disconnect();
    subscriberConnection.disconnect();
  });

  test('closes the sockets of a key when that expires', async () => {
    const { key } = await makeKey(system.options, '--tenant', 'brief', '--expires', '4s');
    const socket = await connectSocket(`${urls[1]}?token=${key}`);
    expect(await socket.closed).toBe(1008);
    expect((await ask(`${system.url}/queue`, key)).status).toBe(401);
  });

  test('logs no key, however it is sent', async () => {
    const { key } = await makeKey(system.options, '--tenant', 'quiet');
    await ask(`${system.url}/queue?token=${key}`);
    await ask(`${system.url}/nowhere?token=${key}`);
    await ask(`${system.url}/view?filename=%2e%2e&token=${key}`);
    await ask(`${system.url}/%zz?token=${key}`, ADMIN);
    await fetch(`${system.url}/prompt?token=${key}`, { method: 'POST', body: '{' });
    await (await connectSocket(`${system.url}?token=${key}`)).close();
    const logs = system.apis.flatMap((api) => api.logs).join('\n');
    expect(logs).not.toContain(key);
    expect(logs).not.toContain(ADMIN);
  });
});

describe('a system that takes the tokens of a provider', () => {
  test('knows whom they name, follows a change of its keys, and closes sockets when they expire', async () => {
    const served: JWK[] = [];
    const provider = await serveHttp((_req, res) => {
      res.setHeader('content-type', 'application/json');
      res.end(JSON.stringify({ keys: served }));
    });
    const claims = { iss: 'https://id.example', aud: 'tiercel', sub: 'acme', role: ['admin'] };
    const addKey = async (kid: string, isServed = true) => {
      const { privateKey, publicKey } = await generateKeyPair('ES256');
      if (isServed) served.splice(0, 1, { ...(await exportJWK(publicKey)), kid, alg: 'ES256' });
      return (lifetimeSeconds: number) =>
        new SignJWT(claims)
          .setProtectedHeader({ alg: 'ES256', kid })
          .setExpirationTime(`${lifetimeSeconds}s`)
          .sign(privateKey);
    };
    const first = await addKey('first');
    const jwt = `{ issuer: https://id.example, audience: tiercel, jwksUrl: '${provider.url}' }`;
    const system = await startSystem({
      workers: 0,
      configYaml: `auth: { mode: required, jwksCooldownMs: 100, jwt: ${jwt} }\n`,
    });
    const statusOf = async (token: string, path = '/metrics') => {
      const headers = { authorization: `Bearer ${token}` };
      return (await fetch(`${system.url}${path}`, { headers })).status;
    };
    const early = await first(600);
    expect(await statusOf(early)).toBe(200);
    expect(await statusOf(await (await addKey('first', false))(600))).toBe(401);
    const second = await addKey('second');
    const later = await second(600);
    await until(async () => (await statusOf(later)) === 200, 2_000);
    // The first key is withdrawn: what it signed ends with it.
    expect(await statusOf(early)).toBe(401);
    // Expired, but within the tolerance for clocks that differ: good for two more seconds.
    const socket = await connectSocket(`${system.url}?token=${await second(-3)}`);
    expect(await socket.closed).toBe(1008);
    expect(await statusOf(await second(-6))).toBe(401);
    // A provider that is away is no reason to trust nobody whose key is known.
    await provider.close();
    expect(await statusOf(later)).toBe(200);
  });
});

describe('a start that would let everybody in', () => {
  test('is refused where other machines reach the API, unless that is meant', async () => {
    const { url: redisUrl } = await startTestRedis();
    const options = { redisUrl, dataDir: makeTempFolder() };
    const env = { HOST: '0.0.0.0' };
    const refused = startApi({ ...options, env });
    await expect(refused).rejects.toThrow(/ended with code 78[^]*auth\.allowOpenNetwork: true/);
    const meant = await startApi({
      ...options,
      env,
      configYaml: 'auth: { allowOpenNetwork: true }\n',
    });
    expect((await http(meant.url.replace('0.0.0.0', '127.0.0.1')).get('/health/live')).status).toBe(
      200,
    );
    const closed = await startApi({ ...options, env, configYaml: 'auth: { mode: required }\n' });
    expect((await http(closed.url.replace('0.0.0.0', '127.0.0.1')).get('/queue')).status).toBe(401);
  });
});

describe('npm run keys', () => {
  afterEach(stopEverything);

  const config = (text = '{}\n') => {
    const configFile = join(makeTempFolder(), 'tiercel.config.yaml');
    writeFileSync(configFile, text);
    return configFile;
  };

  test('works with nothing running: it starts the Redis of the data folder, and ends it', async () => {
    const options = { dataDir: makeTempFolder(), configFile: config() };
    const made = await makeKey(options, '--tenant', 'a', '--name', 'first');
    const list = await runKeys(options, 'list', '--json');
    expect(JSON.parse(list.out)).toEqual([
      expect.objectContaining({
        id: made.id,
        tenant: 'a',
        plan: 'free',
        role: 'user',
        state: 'active',
      }),
    ]);
    expect(list.out).not.toContain(made.key);
    await runKeys(options, 'rotate', made.id, '--json');
    const after = await runKeys(options, 'list');
    expect(after.out.split('\n').map((line) => /revoked|active/.exec(line)?.[0])).toEqual(
      expect.arrayContaining(['revoked', 'active']),
    );
  });

  test('finds the Redis that npm start runs on a data folder', async () => {
    const dataDir = makeTempFolder();
    const configFile = config('auth: { mode: required }\n');
    const settings = [
      `DATA_DIR=${dataDir}`,
      `TIERCEL_CONFIG=${configFile}`,
      'PORT=0',
      'REDIS_URL=',
      'HOST=',
    ];
    const launcher = spawn('env', [...settings, process.execPath, 'apps/launcher/dist/main.js'], {
      ...{ cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] },
    });
    const exited = new Promise((resolve) => launcher.once('exit', resolve));
    onStopEverything(async () => {
      launcher.kill('SIGTERM');
      await exited;
    });
    let out = '';
    launcher.stdout.on('data', (text: Buffer) => (out += text.toString()));
    await until(() => existsSync(join(dataDir, 'redis', 'url')), 20_000);
    // While Redis, the API and the worker are still starting.
    const { key } = await makeKey({ dataDir, configFile }, '--tenant', 'a');
    await until(() => out.includes('Tiercel is ready'), 20_000);
    const url = /http:\/\/[\d.:]+/.exec(out)?.[0] ?? '';
    expect((await fetch(`${url}/queue?token=${key}`)).status).toBe(200);
    expect((await fetch(`${url}/queue`)).status).toBe(401);
  });

  test.each<[number, string, string[]]>([
    [64, '--tenant is missing', ['create']],
    [64, 'frobnicate is no command', ['frobnicate']],
    [64, 'list takes no --plan', ['list', '--plan', 'x']],
    [64, '--expires', ['create', '--tenant', 'a', '--expires', 'soon']],
    [64, '--role', ['create', '--tenant', 'a', '--role', 'root']],
    [1, 'There is no plan "gold", only', ['create', '--tenant', 'a', '--plan', 'gold']],
    [1, 'does not begin with ip:', ['create', '--tenant', 'ip:1.2.3.4']],
    [1, 'The expiry is in the past', ['create', '--tenant', 'a', '--expires', '2020-01-01']],
    [1, 'There is no key "key_x"', ['revoke', 'key_x']],
  ])('ends with %i and says: %s', async (code, words, args) => {
    const { url: redisUrl } = await startTestRedis();
    const options = { redisUrl, dataDir: makeTempFolder(), configFile: config() };
    const outcome = await runKeys(options, ...args);
    expect([outcome.code, outcome.out]).toEqual([code, '']);
    expect(outcome.errors).toContain(words);
  });

  test('takes plans of the configuration', async () => {
    const { url: redisUrl } = await startTestRedis();
    const configFile = config('plans: { gold: { weight: 9 } }\n');
    await makeKey(
      { redisUrl, dataDir: makeTempFolder(), configFile },
      '--tenant',
      'a',
      '--plan',
      'gold',
    );
  });
});

describe('docker-compose.yml', () => {
  const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');

  test('starts a system that asks for a key, with the configuration of its image', () => {
    expect(read('deploy/Dockerfile')).toMatch(/^COPY .*deploy\/tiercel\.config\.yaml \.\/$/m);
    const { auth } = loadConfig({ TIERCEL_CONFIG: join(ROOT, 'deploy/tiercel.config.yaml') });
    expect(auth.mode).toBe('required');
  });

  test('has the first key made before the API, and printed once', async () => {
    const compose = read('docker-compose.yml');
    const [, command = ''] =
      /^ {2}first-key:\n[^]*?command:\n((?: {6}- .*\n)+)/m.exec(compose) ?? [];
    const [node, program, ...args] = [...command.matchAll(/- (.*)/g)].map(([, word]) => word ?? '');
    expect([node, program]).toEqual(['node', 'apps/keys/dist/main.js']);
    expect(compose).toMatch(/^ {2}api:\n[^]*?first-key:\n +condition: service_completed_success/m);
    const { url: redisUrl } = await startTestRedis();
    const options = {
      redisUrl,
      dataDir: makeTempFolder(),
      configFile: join(ROOT, 'deploy/tiercel.config.yaml'),
    };
    const outcomes = [await runKeys(options, ...args), await runKeys(options, ...args)];
    expect(outcomes.map(({ code, out }) => [code, /^tk_/.test(out)])).toEqual([
      [0, true],
      [0, false],
    ]);
  });
});
