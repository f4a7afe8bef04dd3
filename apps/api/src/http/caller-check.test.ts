import type { IncomingMessage } from 'node:http';
import { describe, expect, test } from '@jest/globals';
import { createCallerCheck, type CallerCheckOptions } from './caller-check.ts';

const HERE = 'http://127.0.0.1:8188';

type Headers = Readonly<Record<string, string | undefined>>;

/** The code of the refusal, or `ok`. */
function check(
  headers: Headers,
  {
    method = 'GET',
    httpVersion = '1.1',
    ...options
  }: Partial<CallerCheckOptions> & { method?: string; httpVersion?: string } = {},
): string {
  const isAllowed = createCallerCheck({
    ...{ isOnLoopback: () => true, allowedHosts: [], corsOrigin: undefined },
    ...options,
  });
  // The parts of a request that it looks at.
  const req = { method, httpVersion, headers } as unknown as IncomingMessage;
  return isAllowed(req)?.code ?? 'ok';
}

const host = (name: string) => ({ host: name });
const post = (headers: Headers, options: Partial<CallerCheckOptions> = {}) =>
  check({ host: '127.0.0.1:8188', ...headers }, { ...options, method: 'POST' });

describe('the Host header on a loopback address', () => {
  test.each([
    '127.0.0.1:8188',
    '127.0.0.1',
    '127.8.9.10:1',
    '127.1:8188',
    '2130706433',
    '0x7f.0.0.1',
    '0177.0.0.1',
    'localhost:8188',
    'LOCALHOST',
    '[::1]:8188',
    '[0:0:0:0:0:0:0:1]',
  ])('may be %s', (name) => {
    expect(check(host(name))).toBe('ok');
  });

  test.each([
    'localtest.me:8188',
    'evil.example',
    'foo.localhost:8188',
    'localhost.evil.example',
    '127.0.0.1.nip.io',
    '0.0.0.0:8188',
    '[::ffff:127.0.0.1]:8188',
    '[::]',
    '192.168.1.5',
    'evil.example@127.0.0.1',
    '127.0.0.1/x',
    '127.0.0.1#.evil.example',
    '127.0.0.1:99999',
    'a b',
    '',
  ])('may not be %j', (name) => {
    expect(check(host(name))).toBe('host_refused');
  });

  test('may be what api.allowedHosts lists, at any port, and the refusal names that setting', () => {
    const allowedHosts = ['pics.example', '10.1.2.3'];
    for (const name of ['pics.example', 'PICS.example:8443', '10.1.2.3:80', 'localhost']) {
      expect(check(host(name), { allowedHosts })).toBe('ok');
    }
    for (const name of ['other.example', 'x.pics.example', '10.1.2.4']) {
      expect(check(host(name), { allowedHosts })).toBe('host_refused');
    }
    expect(check(host('any.example'), { allowedHosts: ['*'] })).toBe('ok');
    const refuse = createCallerCheck({
      ...{ isOnLoopback: () => true, allowedHosts: [], corsOrigin: undefined },
    });
    const req = { method: 'GET', httpVersion: '1.1', headers: host('x') };
    expect(refuse(req as unknown as IncomingMessage)?.message).toContain('api.allowedHosts');
  });

  test('must be there, but for HTTP/1.0', () => {
    expect(check({})).toBe('bad_request');
    expect(check({}, { httpVersion: '1.0' })).toBe('ok');
  });
});

describe('the Host header on another address', () => {
  const elsewhere = { isOnLoopback: () => false };

  test('may be anything until the operator lists its names; an address always may', () => {
    for (const name of ['api:8188', 'pics.example', '10.0.0.7:8188']) {
      expect(check(host(name), elsewhere)).toBe('ok');
    }
    const listed = { ...elsewhere, allowedHosts: ['pics.example'] };
    for (const name of ['pics.example', '10.0.0.7:8188', '[fd00::7]', 'localhost:8188']) {
      expect(check(host(name), listed)).toBe('ok');
    }
    expect(check(host('rebound.example'), listed)).toBe('host_refused');
  });
});

describe('what changes something', () => {
  test.each([
    ['a program', {}],
    ['a page of ours', { origin: HERE, 'sec-fetch-site': 'same-origin' }],
    ['a page behind a proxy on the default port', { origin: 'http://127.0.0.1' }],
    ['a bookmarklet or an address typed in', { 'sec-fetch-site': 'none' }],
  ])('may come from %s', (_, headers) => {
    expect(post(headers)).toBe('ok');
  });

  test.each([
    ['another site', { origin: 'http://evil.example' }],
    ['no origin', { origin: 'null' }],
    ['a file', { origin: 'file://' }],
    ['an extension', { origin: 'chrome-extension://abcdef' }],
    ['another port of this machine', { origin: 'http://127.0.0.1:3000' }],
    ['another name of this machine', { origin: 'http://localhost:8188' }],
    ['what is no origin', { origin: '%%%' }],
    ['another site, by the browser’s word', { 'sec-fetch-site': 'cross-site' }],
    ['a sister site, by the browser’s word', { 'sec-fetch-site': 'same-site' }],
  ])('may not come from %s', (_, headers) => {
    expect(post(headers)).toBe('origin_refused');
    for (const method of ['PUT', 'PATCH', 'DELETE']) {
      expect(check({ host: '127.0.0.1:8188', ...headers }, { method })).toBe('origin_refused');
    }
    const upgrade = { host: '127.0.0.1:8188', upgrade: 'websocket', ...headers };
    expect(check(upgrade)).toBe('origin_refused');
  });

  test('the same on an address that is no loopback one', () => {
    const elsewhere = { isOnLoopback: () => false };
    const site = { host: 'pics.example' };
    expect(post({ ...site, origin: 'https://pics.example' }, elsewhere)).toBe('ok');
    expect(post({ ...site, origin: 'https://evil.example' }, elsewhere)).toBe('origin_refused');
    expect(post({ ...site, origin: 'null' }, elsewhere)).toBe('origin_refused');
  });

  test('a listed name is this server too when a proxy changes the Host header', () => {
    const allowedHosts = ['pics.example'];
    expect(post({ origin: 'https://pics.example' }, { allowedHosts })).toBe('ok');
    expect(post({ origin: 'https://pics.example:8443' }, { allowedHosts })).toBe('ok');
    expect(post({ origin: 'https://evil.example' }, { allowedHosts: ['*'] })).toBe(
      'origin_refused',
    );
  });

  test('api.corsOrigin lets one origin in, or all', () => {
    const cross = { 'sec-fetch-site': 'cross-site' };
    const corsOrigin = 'https://pages.example';
    expect(post({ ...cross, origin: corsOrigin }, { corsOrigin })).toBe('ok');
    expect(post({ ...cross, origin: 'https://evil.example' }, { corsOrigin })).toBe(
      'origin_refused',
    );
    expect(post({ ...cross, origin: 'null' }, { corsOrigin: 'null' })).toBe('ok');
    expect(post({ ...cross, origin: 'https://any.example' }, { corsOrigin: '*' })).toBe('ok');
    expect(check({ ...host('evil.example'), origin: corsOrigin }, { corsOrigin: '*' })).toBe(
      'host_refused',
    );
  });
});

describe('what only reads', () => {
  test('is refused to other sites as ComfyUI refuses it', () => {
    const here = host('127.0.0.1:8188');
    expect(check({ ...here, origin: 'http://evil.example' })).toBe('origin_refused');
    expect(check({ ...here, 'sec-fetch-site': 'cross-site' })).toBe('origin_refused');
    expect(check({ ...here, origin: 'null' })).toBe('ok');
    const elsewhere = { isOnLoopback: () => false };
    expect(check({ host: 'a.example', origin: 'http://b.example' }, elsewhere)).toBe('ok');
  });

  test('pages of api.corsOrigin may show pictures, which are asked for without an Origin', () => {
    const picture = { ...host('127.0.0.1:8188'), 'sec-fetch-site': 'cross-site' };
    expect(check(picture, { corsOrigin: 'https://pages.example' })).toBe('ok');
  });
});
