import { request, type IncomingHttpHeaders } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Authenticator, ChangeWatch, KeyStore, PolicyStore } from '@tiercel/accounts';
import { RedisNames, type Role } from '@tiercel/contracts';
import { connectRedis, createLogger, loadConfig } from '@tiercel/runtime';
import {
  onStopEverything,
  serveHttp,
  startTestRedis,
  stopEverything,
  until,
  type TestRedis,
} from '@tiercel/testkit';
import { createCallerCheck } from '../http/caller-check.ts';
import { createApp } from '../http/create-app.ts';
import type { Route } from '../http/route.ts';
import type { Forward } from '../proxy/proxy.ts';
import { createProxyMatcher } from '../proxy/proxy-rules.ts';
import { createCallerAddresses } from './caller-address.ts';
import { callerOf } from './caller-of.ts';
import { createGate } from './gate.ts';
import { createLoginRoutes } from './login.ts';
import { OpenConnections } from './open-connections.ts';
import { Recognizer } from './recognize.ts';

const log = createLogger({ level: 'silent', name: 'test' });
const names = new RedisNames('test');
const actor = { who: 'test', from: 'here' };

let server: TestRedis;
let keys: KeyStore;
let policy: PolicyStore;
let userKey: string;
let userKeyId: string;
let adminKey: string;
let internalKey: string;
/** What a server of the pool would have been asked. */
let forwarded: { url: string; headers: IncomingHttpHeaders }[];
let openApp: (
  mode: 'optional' | 'required',
  trustedProxies?: string[],
  corsOrigin?: string,
) => Promise<string>;

const routes: Route[] = [
  {
    method: 'GET',
    path: '/whoami',
    handle: (req, res) => {
      const { originalUrl: url, headers } = req;
      res.json({ caller: callerOf(res), url, headers });
    },
  },
  {
    method: 'POST',
    path: '/whoami',
    body: 'text',
    handle: (req, res) => {
      res.json({ caller: callerOf(res), body: String(req.body) });
    },
  },
  { method: 'GET', path: '/admins', access: 'admin', handle: (_req, res) => void res.json('ok') },
  { method: 'GET', path: '/all', access: 'everyone', handle: (_req, res) => void res.json('ok') },
  {
    method: 'GET',
    path: '/',
    prefix: 'bare',
    access: 'page',
    handle: (_req, res) => void res.json('page'),
  },
  {
    method: 'GET',
    path: '/stream',
    handle: (_req, res) => {
      res.write('begun\n');
    },
  },
];

async function makeKey(role: Role, tenant = 'acme', expiresAt?: number) {
  const made = await keys.create({ name: '', tenant, plan: 'pro', role, expiresAt }, actor);
  if (made === undefined) throw new Error('no key was made');
  return { key: made.key, id: made.record.id };
}

beforeAll(async () => {
  server = await startTestRedis();
  const redis = connectRedis(server.url, 'commands', log);
  const subscriberConnection = connectRedis(server.url, 'subscriber', log);
  await new Promise((resolve) => redis.once('ready', resolve));
  keys = new KeyStore(redis, names, 1_000);
  const watch = new ChangeWatch({ redis, subscriberConnection, names, log });
  const config = loadConfig({ TIERCEL_CONFIG: '/dev/null' });
  policy = new PolicyStore({ redis, names, watch, config, log });
  const authenticator = new Authenticator({ keys, watch, auth: config.auth, log });
  await watch.start();
  await policy.start();
  const connections = new OpenConnections({ authenticator, watch, policy, log });
  onStopEverything(() => {
    connections.stop();
    policy.stop();
    watch.stop();
    redis.disconnect();
    subscriberConnection.disconnect();
  });
  const forward: Forward = ({ originalUrl: url, headers }, res) => {
    forwarded.push({ url, headers: { ...headers } });
    res.json('forwarded');
    return Promise.resolve('sent');
  };
  openApp = async (mode, trustedProxies = [], corsOrigin) => {
    const addresses = createCallerAddresses(trustedProxies);
    const rules = { paths: ['/assets/**'], methods: ['GET'], customRoutes: ['/custom'] };
    const gate = createGate({
      recognizer: new Recognizer({ mode, addresses, authenticator, policy }),
      connections,
      matchProxied: createProxyMatcher(rules),
      ...{ customRoles: ['internal', 'admin'], log },
    });
    const checkCaller = createCallerCheck({
      isOnLoopback: () => true,
      allowedHosts: [],
      corsOrigin,
    });
    const app = createApp(
      [...routes, ...createLoginRoutes({ authenticator, watch })],
      { maxBodyBytes: 1_000_000, checkCaller, corsOrigin, forward, gate },
      log,
    );
    return (await serveHttp(app)).url;
  };
  ({ key: userKey, id: userKeyId } = await makeKey('user'));
  ({ key: adminKey } = await makeKey('admin'));
  ({ key: internalKey } = await makeKey('internal'));
});
beforeEach(() => {
  forwarded = [];
});
afterAll(stopEverything);

const ask = (url: string, headers: Record<string, string> = {}, more: RequestInit = {}) =>
  fetch(url, { headers, redirect: 'manual', ...more });

/** Headers as they are, also the same one twice. */
function askRaw(url: string, headers: string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const { host } = new URL(url);
    request(url, { headers: ['host', host, ...headers] as never }, (res) => {
      res.resume();
      resolve(res.statusCode ?? 0);
    })
      .on('error', reject)
      .end();
  });
}

const page = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };

describe('in mode required', () => {
  let url: string;
  beforeAll(async () => {
    url = await openApp('required');
  });

  test.each<[string, (key: string) => [path: string, headers: Record<string, string>]]>([
    ['Authorization: Bearer', (key) => ['/whoami', { authorization: `Bearer ${key}` }]],
    ['authorization: bearer', (key) => ['/whoami', { authorization: `bearer   ${key}` }]],
    ['X-API-Key', (key) => ['/whoami', { 'x-api-key': key }]],
    ['?token=', (key) => [`/whoami?a=1&token=${key}&b=%20x`, {}]],
    ['an escaped ?token=', (key) => [`/whoami?%74oken=${encodeURIComponent(key)}`, {}]],
    ['a cookie', (key) => ['/whoami', { cookie: `theme=dark; tiercel_key=${key}; x=y` }]],
    ['the same key twice', (key) => [`/whoami?token=${key}`, { 'x-api-key': key }]],
    [
      'a key beside the login of a proxy',
      (key) => ['/api/whoami', { authorization: 'Basic eDp5', 'x-api-key': key }],
    ],
    [
      'a key beside a cookie of another',
      (key) => ['/whoami', { 'x-api-key': key, cookie: `tiercel_key=${adminKey}` }],
    ],
  ])('%s says who asks, and nothing behind the gate sees it', async (_way, how) => {
    const [path, headers] = how(userKey);
    const answer = await ask(`${url}${path}`, headers);
    expect(answer.status).toBe(200);
    const told = (await answer.json()) as { caller: object; url: string; headers: object };
    expect(told.caller).toEqual({
      ...{ tenant: 'acme', plan: 'pro', role: 'user', keyId: userKeyId, address: '127.0.0.1' },
    });
    expect(JSON.stringify([told.url, told.headers])).not.toContain('tk_');
    if (path.includes('a=1')) expect(told.url).toBe('/whoami?a=1&b=%20x');
    if (headers.cookie?.includes('theme') === true) {
      expect(told.headers).toMatchObject({ cookie: 'theme=dark; x=y' });
    }
  });

  test('a page that was opened with ?token= does not tell it on by Referer', async () => {
    const answer = await ask(`${url}/whoami`, {
      ...{ 'x-api-key': userKey, referer: `${url}/?token=${userKey}&x=1` },
    });
    const { headers } = (await answer.json()) as { headers: IncomingHttpHeaders };
    expect(headers.referer).toBe(`${url}/?x=1`);
    expect(answer.headers.get('referrer-policy')).toBe('same-origin');
  });

  test('no cache between gives one caller’s answer to another', async () => {
    const answer = await ask(`${url}/whoami`, { 'x-api-key': userKey });
    expect(answer.headers.get('cache-control')).toBe('private, no-cache');
    expect(answer.headers.get('vary')).toBe('Authorization, X-API-Key, Cookie');
  });

  test('who says nothing is asked who he is, in ComfyUI’s error shape', async () => {
    const answer = await ask(`${url}/whoami`);
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="tiercel"');
    expect(await answer.json()).toMatchObject({ error: { type: 'unauthorized' }, node_errors: {} });
    expect((await ask(`${url}/nothing/here`)).status).toBe(401);
    expect((await ask(`${url}/whoami`, {}, { method: 'POST', body: 'x' })).status).toBe(401);
    expect(forwarded).toEqual([]);
  });

  test.each<[string, Record<string, string>, string]>([
    ['a made-up key', { 'x-api-key': `tk_${'A'.repeat(43)}` }, ''],
    ['an empty key', { 'x-api-key': '' }, ''],
    ['a key without its scheme', { authorization: `tk_${'A'.repeat(43)}` }, ''],
    ['Bearer alone', { authorization: 'Bearer ' }, ''],
    ['an empty ?token=', {}, '?token='],
    ['nonsense', { authorization: 'Bearer ../../etc/passwd' }, ''],
  ])('%s is not good', async (_what, headers, query) => {
    const answer = await ask(`${url}/whoami${query}`, headers);
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer realm="tiercel"/);
  });

  test('two that differ are refused, whoever of those before us may have looked at one', async () => {
    const twice = [
      ['authorization', `Bearer ${userKey}`, 'authorization', `Bearer ${adminKey}`],
      ['x-api-key', userKey, 'x-api-key', adminKey],
      ['authorization', `Bearer ${userKey}`, 'x-api-key', adminKey],
      ['cookie', `tiercel_key=${userKey}; tiercel_key=${adminKey}`],
      ['authorization', 'Basic eDp5', 'authorization', 'Bearer x'],
    ];
    for (const headers of twice) expect(await askRaw(`${url}/whoami`, headers)).toBe(401);
    expect(await askRaw(`${url}/whoami?token=${userKey}&token=${adminKey}`, [])).toBe(401);
    expect(await askRaw(`${url}/whoami?token=${userKey}`, ['x-api-key', adminKey])).toBe(401);
  });

  test('a path for administrators is for their keys only', async () => {
    expect((await ask(`${url}/admins`, { 'x-api-key': adminKey })).status).toBe(200);
    expect((await ask(`${url}/admins`, { 'x-api-key': internalKey })).status).toBe(403);
    const answer = await ask(`${url}/admins`, { ...page, 'x-api-key': userKey });
    expect(answer.status).toBe(403);
    expect(await answer.json()).toMatchObject({ error: { type: 'forbidden' } });
  });

  test('what is everybody’s needs no key, and takes no notice of a bad one', async () => {
    for (const headers of [{}, { 'x-api-key': 'bad' }] as Record<string, string>[]) {
      expect((await ask(`${url}/all`, headers)).status).toBe(200);
      expect((await ask(`${url}/assets/index.js`, headers)).status).toBe(200);
    }
  });

  test('routes of custom nodes are for the roles that the configuration names', async () => {
    const statuses: number[] = [];
    for (const key of [internalKey, adminKey, userKey]) {
      const options = { method: 'POST', body: 'x' };
      statuses.push((await ask(`${url}/custom/x?token=${key}`, {}, options)).status);
    }
    statuses.push((await ask(`${url}/custom/x`)).status);
    expect(statuses).toEqual([200, 200, 403, 401]);
    expect(JSON.stringify(forwarded)).not.toContain('tk_');
    expect(forwarded.map((request) => request.url)).toEqual(['/custom/x', '/custom/x']);
  });

  test('a body is read as ever', async () => {
    const answer = await ask(
      `${url}/whoami`,
      { 'x-api-key': userKey },
      { method: 'POST', body: 'x'.repeat(100_000) },
    );
    expect(((await answer.json()) as { body: string }).body).toHaveLength(100_000);
  });

  test('a blocked tenant is refused, and what it has open is cut', async () => {
    const { key } = await makeKey('user', 'bad');
    const stream = await ask(`${url}/stream`, { 'x-api-key': key });
    const reader = stream.body?.getReader();
    await reader?.read();
    await policy.set('tenants', 'bad', { blocked: true }, actor);
    await expect(reader?.read()).rejects.toThrow();
    expect((await ask(`${url}/whoami`, { 'x-api-key': key })).status).toBe(403);
  });

  test('a key that expires loses what it has open', async () => {
    const { key } = await makeKey('user', 'acme', (await keys.nowMs()) + 400);
    const stream = await ask(`${url}/stream`, { 'x-api-key': key });
    const reader = stream.body?.getReader();
    await reader?.read();
    await expect(reader?.read()).rejects.toThrow();
    await until(
      async () => (await ask(`${url}/whoami`, { 'x-api-key': key })).status === 401,
      1_000,
    );
  });

  describe('a person with a browser', () => {
    test('is sent to the login page, logs in, and comes back to where he was going', async () => {
      const first = await ask(`${url}/?workflow=a%20b`, page);
      expect([first.status, first.headers.get('location')]).toEqual([
        ...[303, '/login?next=%2F%3Fworkflow%3Da%2520b'],
      ]);
      const form = await ask(`${url}${first.headers.get('location') ?? ''}`, page);
      expect(form.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
      const next = /name="next" value="([^"]*)"/.exec(await form.text())?.[1] ?? '';
      const body = new URLSearchParams({ key: ` ${userKey} `, next });
      const login = await ask(`${url}/login`, { origin: url, ...page }, { method: 'POST', body });
      expect([login.status, login.headers.get('location')]).toEqual([303, '/?workflow=a%20b']);
      const cookie = login.headers.get('set-cookie') ?? '';
      expect(cookie).toMatch(
        /^tiercel_key=tk_[\w-]+; Path=\/; Max-Age=2592000; HttpOnly; SameSite=Lax$/,
      );
      const jar = { cookie: cookie.split(';')[0] ?? '' };
      expect((await ask(`${url}/whoami`, jar)).status).toBe(200);
      expect((await ask(`${url}/`, { ...jar, ...page })).status).toBe(200);
      const logout = await ask(`${url}/logout`, { ...jar, origin: url }, { method: 'POST' });
      expect(logout.headers.get('set-cookie')).toMatch(/^tiercel_key=; Path=\/; Max-Age=0;/);
    });

    test('with a key that is not good sees the page again', async () => {
      const body = new URLSearchParams({ key: '<script>alert(1)</script>', next: '"><b>' });
      const login = await ask(`${url}/login`, { origin: url }, { method: 'POST', body });
      expect([login.status, login.headers.get('set-cookie')]).toEqual([401, null]);
      const text = await login.text();
      expect(text).toContain('This is no API key of this server');
      expect(text).not.toMatch(/<script>|<b>/);
    });

    test('whose cookie has become void is sent to the login page without it', async () => {
      const stale = { cookie: `tiercel_key=tk_${'A'.repeat(43)}` };
      const answer = await ask(`${url}/whoami`, { ...stale, ...page });
      expect([answer.status, answer.headers.get('location')]).toEqual([
        303,
        '/login?next=%2Fwhoami',
      ]);
      expect(answer.headers.get('set-cookie')).toMatch(/Max-Age=0/);
    });

    test('cannot be logged in by a page of another site', async () => {
      const body = new URLSearchParams({ key: userKey });
      for (const origin of ['https://evil.example', 'null']) {
        const login = await ask(`${url}/login`, { origin }, { method: 'POST', body });
        expect([login.status, login.headers.get('set-cookie')]).toEqual([403, null]);
      }
    });

    test.each([
      ...[
        '//evil.example',
        '/\\evil.example',
        'https://evil.example',
        '/.//evil.example',
        '/%0d/../..//evil',
      ],
      ...['javascript:alert(1)', '/a\nb', '/\t/evil.example', '', '/login?next=/x', '\\\\evil'],
    ])('is not sent elsewhere by ?next=%j', async (next) => {
      const body = new URLSearchParams({ key: userKey, next });
      const login = await ask(`${url}/login`, { origin: url }, { method: 'POST', body });
      const target = new URL(login.headers.get('location') ?? '', url);
      expect([login.status, target.origin]).toEqual([303, url]);
      expect(login.headers.get('location')).toMatch(/^\/(?![/\\])/);
    });

    test('behind a trusted proxy with https has a cookie that only https and no neighbour gets', async () => {
      const proxied = await openApp('required', ['loopback']);
      const https = { 'x-forwarded-proto': 'https', 'x-forwarded-for': '198.51.100.7' };
      const body = new URLSearchParams({ key: userKey });
      const login = await ask(
        `${proxied}/login`,
        { ...https, origin: proxied },
        { method: 'POST', body },
      );
      const cookie = login.headers.get('set-cookie') ?? '';
      expect(cookie).toMatch(/^__Host-tiercel_key=.*; HttpOnly; SameSite=Lax; Secure$/);
      const jar = { cookie: `tiercel_key=tossed; ${cookie.split(';')[0] ?? ''}` };
      expect((await ask(`${proxied}/whoami`, { ...https, ...jar })).status).toBe(200);
      const forged = await ask(`${url}/login`, { ...https, origin: url }, { method: 'POST', body });
      expect(forged.headers.get('set-cookie')).not.toContain('Secure');
    });
  });
});

describe('in mode optional', () => {
  let url: string;
  beforeAll(async () => {
    url = await openApp('optional');
  });
  const callerAt = async (at: string, headers: Record<string, string> = {}) => {
    const answer = await ask(`${at}/whoami`, headers);
    return [answer.status, ((await answer.json()) as { caller?: unknown }).caller];
  };

  test('who says nothing is a tenant by address, with the plan of strangers', async () => {
    expect(await callerAt(url)).toEqual([
      200,
      { tenant: 'ip:127.0.0.1', plan: 'anonymous', role: 'user', address: '127.0.0.1' },
    ]);
    expect((await ask(`${url}/admins`)).status).toBe(401);
    expect((await ask(`${url}/`, page)).status).toBe(200);
  });

  test('a key that is not good is refused, and not taken for a stranger', async () => {
    const bad = `tk_${'A'.repeat(43)}`;
    const statuses = [
      (await ask(`${url}/whoami`, { 'x-api-key': bad })).status,
      (await ask(`${url}/whoami?token=${bad}`)).status,
      (await ask(`${url}/whoami`, { cookie: `tiercel_key=${bad}` })).status,
    ];
    expect(statuses).toEqual([401, 401, 401]);
  });

  test('nobody names his own address: forwarding headers of who is no trusted proxy say nothing', async () => {
    for (const name of [
      'x-forwarded-for',
      'x-real-ip',
      'forwarded',
      'cf-connecting-ip',
      'x-client-ip',
    ]) {
      const [, caller] = await callerAt(url, { [name]: '203.0.113.9' });
      expect(caller).toMatchObject({ tenant: 'ip:127.0.0.1' });
    }
  });

  test.each([
    ['203.0.113.9', 'ip:203.0.113.9'],
    // The caller's own word is before that of the proxy.
    ['1.2.3.4, 203.0.113.9', 'ip:203.0.113.9'],
    ['1.2.3.4, 203.0.113.9, 10.0.0.1', 'ip:203.0.113.9'],
    ['ip:evil, 203.0.113.9', 'ip:203.0.113.9'],
    ['203.0.113.9:5678', 'ip:203.0.113.9'],
    ['::ffff:203.0.113.9', 'ip:203.0.113.9'],
    ['2001:db8:1:2:3:4:5:6', 'ip:2001:db8:1:2::/64'],
    ['2001:0db8:0001:0002::ffff', 'ip:2001:db8:1:2::/64'],
    ['[2001:db8:1:2::1]:443', 'ip:2001:db8:1:2::/64'],
    ['2001:db8::1', 'ip:2001:db8::/64'],
    ['unknown', 'ip:127.0.0.1'],
    ['10.0.0.7, 10.0.0.1', 'ip:10.0.0.7'],
  ])('behind trusted proxies X-Forwarded-For %j is %s', async (header, tenant) => {
    const proxied = await openApp('optional', ['loopback', '10.0.0.0/8']);
    const [, caller] = await callerAt(proxied, { 'x-forwarded-for': header });
    expect(caller).toMatchObject({ tenant });
  });
});

test('pages of the one origin that is let in may send a key', async () => {
  const url = await openApp('required', [], 'https://pages.example');
  const options = { method: 'OPTIONS' };
  const answer = await ask(`${url}/whoami`, { origin: 'https://pages.example' }, options);
  expect(answer.headers.get('access-control-allow-headers')).toMatch(/Authorization.*X-API-Key/);
});
