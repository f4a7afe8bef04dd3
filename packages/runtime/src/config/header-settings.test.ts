import { writeFileSync } from 'node:fs';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { stringify } from 'yaml';
import { loadConfig } from './load.ts';

const folder = mkdtempSync(join(tmpdir(), 'tiercel-config-'));

function load(file: object, env: Record<string, string> = {}) {
  const path = join(folder, 'tiercel.config.yaml');
  writeFileSync(path, stringify(file));
  return loadConfig({ ...env, TIERCEL_CONFIG: path });
}

const tier = (more: object) => ({
  tiers: [{ name: 'a', driver: 'openai', model: 'm', apiKey: 'k', ...more }],
});

/** Settings that are written into a header of an answer or of a request. */
describe('a setting that becomes a header', () => {
  test.each([
    ['api.corsOrigin', (text: string) => ({ api: { corsOrigin: `https://a.example${text}` } })],
    ['api.allowedHosts', (text: string) => ({ api: { allowedHosts: [`a.example${text}`] } })],
    ['tiers.0.apiKey', (text: string) => tier({ apiKey: `key${text}` })],
    ['tiers.0.name', (text: string) => tier({ name: `a${text}` })],
  ])('%s holds no line break or control character', (key, file) => {
    expect(() => load(file(''))).not.toThrow();
    for (const text of ['\n', '\r\nX-Evil: 1', '\n\n', '\u0000', '\u007f', '\u2028', 'ü']) {
      expect(() => load(file(text))).toThrow(key);
    }
  });

  test('an apiKey that came with the line break of its file stops the start, and is not shown', () => {
    const file = tier({ apiKey: '${KEY}' });
    expect(() => load(file, { KEY: 'sk-0123\n' })).toThrow(/tiers\.0\.apiKey/);
    expect(() => load(file, { KEY: 'sk-0123\n' })).not.toThrow(/sk-0123/);
    expect(load(file, { KEY: 'sk-0123' }).tiers[0]?.apiKey).toBe('sk-0123');
  });
});

describe('api.corsOrigin', () => {
  test.each([
    ['*', '*'],
    ['null', 'null'],
    ['https://Pages.Example', 'https://pages.example'],
    ['https://pages.example/', 'https://pages.example'],
    ['http://pages.example:80', 'http://pages.example'],
    ['http://127.0.0.1:3000', 'http://127.0.0.1:3000'],
    ['chrome-extension://abcdef', 'chrome-extension://abcdef'],
  ])('%s is compared as browsers write it', (corsOrigin, written) => {
    expect(load({ api: { corsOrigin } }).api.corsOrigin).toBe(written);
  });

  test.each([
    'pages.example',
    'https://pages.example/path',
    'https://a.example, https://b.example',
    'https://u@a.example',
    'https://a.example:99999',
    '',
  ])('%j is none', (corsOrigin) => {
    expect(() => load({ api: { corsOrigin } })).toThrow(/api\.corsOrigin/);
  });
});

describe('api.allowedHosts', () => {
  test.each(['pics.example', 'PICS', 'a-b_c.example.', '10.0.0.1', '[::1]', '*'])(
    '%s is a name',
    (name) => {
      expect(load({ api: { allowedHosts: [name] } }).api.allowedHosts).toEqual([name]);
    },
  );

  test.each(['https://pics.example', 'pics.example:8188', 'a/b', 'a b', '*.example', ''])(
    '%j is none',
    (name) => {
      expect(() => load({ api: { allowedHosts: [name] } })).toThrow(/api\.allowedHosts/);
    },
  );
});
