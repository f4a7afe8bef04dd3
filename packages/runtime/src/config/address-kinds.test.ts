import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { stringify as stringifyYaml } from 'yaml';
import { loadConfig } from './load.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tiercel-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** What a start with this file and environment is refused with; '' when it is not. */
function refusalOf(file: object, env: Readonly<Record<string, string>> = {}): string {
  const path = join(folder, 'config.yaml');
  writeFileSync(path, stringifyYaml(file));
  try {
    loadConfig({ TIERCEL_CONFIG: path, ...env });
    return '';
  } catch (error) {
    const { message } = error as Error;
    return message.replaceAll(path, 'FILE');
  }
}

const pool = (...urls: string[]) => ({ tiers: [{ name: 'p', driver: 'comfyui', urls }] });
const turbo = (url: string) => ({ tiers: [{ name: 't', driver: 'turbo', urls: [url] }] });
const openai = (more: object) => ({
  tiers: [{ name: 'o', driver: 'openai', apiKey: 'k', model: 'm', ...more }],
});

describe('addresses of servers', () => {
  test.each([
    'http://gpu-a:8188',
    'https://name:s%40cret@gpu.example/comfy/',
    'http://[::1]:8188',
    'http://192.168.0.7',
    'https://xn--tda.example',
  ])('%s is one', (url) => {
    expect(refusalOf(pool(url))).toBe('');
    expect(refusalOf(turbo(url))).toBe('');
    expect(refusalOf(openai({ url }))).toBe('');
    expect(refusalOf({}, { COMFYUI_URL: url })).toBe('');
  });

  test.each([
    ['http://gpu-a:port', 'cannot be read as a URL'],
    ['http://gpu-a:65536', 'port up to 65535'],
    ['http://gpu-a:0', 'port 0'],
    ['http://', 'must be an http:// or https:// URL'],
    ['http://:8188', 'cannot be read as a URL'],
    ['http://[::1:8188', '[brackets]'],
    ['http://user:pass/word9@gpu-a', '/ as %2F'],
    ['http://user:pass#word9@gpu-a', '# as %23'],
    ['http://user:passw%zz9@gpu-a', 'write it as %25'],
    ['http://gpu-a/#x', '# part'],
    ['http://gpu a', 'without blanks'],
    ['http://gpu-a\n', 'without blanks'],
    ['gpu-a:8188', 'must be an http:// or https:// URL'],
    ['ftp://gpu-a', 'must be an http:// or https:// URL'],
    ['', 'must be an http:// or https:// URL'],
  ])('%j is refused wherever one stands: %s', (url, sentence) => {
    for (const [where, refusal] of [
      ['tiers.0.urls.1', refusalOf(pool('http://ok', url))],
      ['tiers.0.urls.0', refusalOf(turbo(url))],
      ['tiers.0.url', refusalOf(openai({ url }))],
      // An empty variable is one that is not set.
      ...(url === '' ? [] : [['COMFYUI_URL', refusalOf({}, { COMFYUI_URL: url })] as const]),
    ] as const) {
      expect(refusal).toContain(`${where}: `);
      expect(refusal).toContain(sentence);
      expect(refusal).not.toContain('word9');
    }
  });

  test('a query is a gateway’s business, and none of a ComfyUI server', () => {
    expect(refusalOf(openai({ url: 'https://gw.example/v1?api-version=2' }))).toBe('');
    expect(refusalOf(pool('http://a/?token=secret9'))).toMatch(/urls\.0: must not have a query/);
    expect(refusalOf({}, { COMFYUI_URL: 'http://a?x' })).toContain('must not have a query');
  });

  test('a server that is named twice in other words is still named twice', () => {
    for (const again of ['http://GPU-A:80/', 'http://gpu-a', 'http://gpu-a:80']) {
      expect(refusalOf(pool('http://gpu-a', again))).toContain('names a server twice');
    }
    expect(refusalOf(pool('http://gpu-a', 'https://gpu-a', 'http://gpu-a/b'))).toBe('');
  });
});

describe('the address of Redis', () => {
  test.each([
    'redis://127.0.0.1:6379',
    'rediss://user:p%40ss@redis.example/2',
    'redis://:pass@[::1]:7000/0',
    'unix:///run/redis.sock',
    'redis://localhost?family=6',
  ])('%s is one', (url) => {
    expect(refusalOf({}, { REDIS_URL: url })).toBe('');
  });

  test.each([
    ['http://localhost', 'must start with redis://'],
    ['redis://', 'names no host'],
    ['redis://h:99999', 'cannot be read as a URL'],
    ['redis://h:0', 'port 0'],
    ['redis://:word9#x@h', 'cannot be read as a URL'],
    ['redis://:word9%@h', 'write it as %25'],
    ['redis://h/name', 'number of a database'],
    ['redis://h /0', 'blanks'],
    ['unix://', 'unix:///path/to.sock'],
    ['unix://run/redis.sock', 'unix:///path/to.sock'],
  ])('%j is refused: %s', (url, sentence) => {
    const refusal = refusalOf({}, { REDIS_URL: url });
    expect(refusal).toContain('REDIS_URL: ');
    expect(refusal).toContain(sentence);
    expect(refusal).not.toContain('word9');
  });
});

describe('what is sent in headers, and what is listened on', () => {
  test.each(['openai', 'cloudflare', 'pollinations'])(
    'a key of %s fits into a header',
    (driver) => {
      const needs = driver === 'cloudflare' ? { accountId: 'a' } : {};
      const tier = (apiKey: string) => ({
        tiers: [{ name: 'o', driver, model: 'm', apiKey, ...needs }],
      });
      expect(refusalOf(tier('sk-abc_DEF.123=='))).toBe('');
      for (const key of [
        'secret9\n',
        'secret9\r\nX-Evil: 1',
        'sec ret9',
        'secret9\u0000',
        'schlüssel9',
      ]) {
        const refusal = refusalOf(tier(key));
        expect(refusal).toContain('tiers.0.apiKey: is sent in a header');
        expect(refusal).not.toMatch(/ret9|ssel9/);
      }
    },
  );

  test('the key of automatic1111 is a login in one line', () => {
    const tier = (apiKey: string) => ({
      tiers: [{ name: 'a', driver: 'automatic1111', url: 'http://a', apiKey }],
    });
    expect(refusalOf(tier('user:pass word with ü'))).toBe('');
    for (const key of ['token9', ':pass9', 'user:pass9\n']) {
      expect(refusalOf(tier(key))).toContain('tiers.0.apiKey: must be user:password');
    }
  });

  test('names that go to a service have no control characters', () => {
    expect(refusalOf(openai({ model: 'm\n' }))).toContain('tiers.0.model: must be a text without');
  });

  test.each([
    ...['*', 'null', 'https://example.com', 'http://localhost:5173', 'tauri://localhost'],
    ...['HTTPS://Example.com:443/'],
  ])('CORS may be opened for %s', (corsOrigin) => {
    expect(refusalOf({ api: { corsOrigin } })).toBe('');
  });

  test.each([
    ...['https://example.com/app', 'example.com', 'https://u:p@a.example', '**', ''],
    ...['https://a.example\r\nX-Evil: 1', 'https://a.example\n', 'https://a, https://b'],
  ])('CORS for %j is refused: no browser would ever send it', (corsOrigin) => {
    expect(refusalOf({ api: { corsOrigin } })).toContain('api.corsOrigin: must be *, null, or one');
  });

  test.each(['127.0.0.1', '0.0.0.0', '::1', '::', 'fe80::1%eth0', 'localhost', 'my-host.local'])(
    'one can listen on %s',
    (host) => {
      expect(refusalOf({}, { HOST: host })).toBe('');
    },
  );

  test.each(['http://0.0.0.0', '0.0.0.0:8188', '300.0.0.1', '[::1]', 'a b', '127.0.0.1\n', '*'])(
    'nobody can listen on %j',
    (host) => {
      expect(refusalOf({}, { HOST: host })).toContain('HOST: must be an IP address or a host name');
    },
  );

  test('names in keys and reports are told what they may be', () => {
    expect(refusalOf({}, { REDIS_PREFIX: 'a:b' })).toContain(
      'REDIS_PREFIX: must be 1 to 64 letters',
    );
    expect(refusalOf(openai({ quality: 'a b' }))).toContain('quality: must be 1 to 64 letters');
  });
});
