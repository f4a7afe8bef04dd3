import { describe, expect, test } from '@jest/globals';
import { createSecretMask, NO_MASK, REDACTED } from './secret-mask.ts';

const KEY = 'comfyui-K3y/with+signs=&"quo\\te"';
const UNICODE = 'schlüssel-😀-geheim';
const TOKEN = `eyJhbGciOiJSUzI1NiJ9.${'Zm9vYmFyLWJhei1xdXV4'.repeat(20)}.c2lnbmF0dXJl`;

const toJson = (text: string) => JSON.stringify(text).slice(1, -1);
/** As Python's json.dumps writes it. */
const toAscii = (text: string) =>
  toJson(text).replace(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
const toBase64 = (text: string) => Buffer.from(text).toString('base64');
const everyByte = (text: string, format: (hex: string) => string) =>
  [...Buffer.from(text)].map((byte) => format(byte.toString(16).padStart(2, '0'))).join('');

const SPELLINGS: Readonly<Record<string, (text: string) => string>> = {
  'as it is': (text) => text,
  'in JSON': toJson,
  'in JSON in JSON': (text) => toJson(toJson(text)),
  'in ASCII JSON': toAscii,
  'in a URL': encodeURIComponent,
  'in a form': (text) => new URLSearchParams({ a: text }).toString().slice(2),
  'in a URL, byte by byte': (text) => everyByte(text, (hex) => `%${hex}`),
  'in a URL in a URL': (text) => encodeURIComponent(encodeURIComponent(text)),
  'in base64': toBase64,
  'in base64 behind one byte': (text) => toBase64(`:${text}`),
  'in base64 of a login': (text) => toBase64(`me:${text}`),
  'in base64 for URLs': (text) => Buffer.from(`x${text}`).toString('base64url'),
  'in base64 of JSON': (text) => toBase64(JSON.stringify({ key: text })),
  'in base64 of broken lines': (text) => toBase64(text).replace(/(.{40})/g, '$1\n'),
  'in hex': (text) => Buffer.from(text).toString('hex').toUpperCase(),
  'over two lines': (text) => `${text.slice(0, 9)}\n    ${text.slice(9)}`,
  'over two lines in JSON': (text) => toJson(`${text.slice(0, 9)}\n${text.slice(9)}`),
  'in HTML': (text) =>
    text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;'),
};

describe('a value that cannot be mistaken for anything else', () => {
  for (const secret of [KEY, UNICODE, TOKEN]) {
    const mask = createSecretMask([secret]);
    test.each(Object.entries(SPELLINGS))(
      `${secret.slice(0, 12)}... is found %s, alone and in a longer text`,
      (_, spell) => {
        const spelled = spell(secret);
        for (const [before, after] of [
          ['', ''],
          ['Bearer ', ' refused'],
          ['{"a":"', '"}'],
          ['key=', '&b=1'],
          ['(line 1)\n', '\n(line 3)'],
        ] as const) {
          const masked = mask.text(`${before}${spelled}${after}`);
          expect(masked.startsWith(before)).toBe(true);
          expect(masked.endsWith(after)).toBe(true);
          expect(masked).toContain(REDACTED);
          // At most the ends of base64, which the neighbours have a part in, are left of it.
          const left = masked.slice(before.length, masked.length - after.length);
          expect(left.replace(REDACTED, '').length).toBeLessThanOrEqual(26);
          expect(left).not.toContain(spelled.slice(10, 24));
        }
      },
    );
  }

  test('is found when it stands in the middle of a word', () => {
    expect(createSecretMask(['abcd-1234']).text('xabcd-1234y')).toBe(`x${REDACTED}y`);
  });

  test('is found each time, and so is every other secret', () => {
    const mask = createSecretMask(['first-key-1', 'second-key-2', 'first-key-1-and-more']);
    expect(mask.text('first-key-1, second-key-2, first-key-1, first-key-1-and-more')).toBe(
      [REDACTED, REDACTED, REDACTED, REDACTED].join(', '),
    );
  });

  test('is found when only its beginning is left of it', () => {
    const mask = createSecretMask([TOKEN]);
    expect(mask.text(`token ${TOKEN.slice(0, 100)}... refused`)).toBe(`token ${REDACTED} refused`);
    const encoded = toBase64(`me:${TOKEN}`).slice(0, 90);
    expect(mask.text(`Basic ${encoded}`).replace(/ .{4}/, ' ')).toBe(`Basic ${REDACTED}`);
  });

  test.each([
    ['pictures in base64', Buffer.alloc(3_000_000, 'any picture').toString('base64')],
    ['backslashes', '\\'.repeat(500_000)],
    ['beginnings of it', `${TOKEN.slice(0, 20)}\n`.repeat(50_000)],
    ['percent signs', '%25'.repeat(500_000)],
    ['line ends', '\n \\n'.repeat(300_000)],
  ])('a long token is looked for in megabytes of %s in no time worth speaking of', (_, text) => {
    const mask = createSecretMask([TOKEN, KEY]);
    const startedAt = performance.now();
    expect(mask.text(text)).toBe(text);
    expect(performance.now() - startedAt).toBeLessThan(5_000);
  });

  test('half a character in it spoils nothing', () => {
    expect(createSecretMask(['half-\ud83d-key']).text('a half-\ud83d-key b')).toBe(
      `a ${REDACTED} b`,
    );
  });
});

describe('a value that could be an ordinary word', () => {
  test.each(['a', '1', 'e', '42', 'key', 'test', 'images', 'filename'])(
    '%s goes where it is the whole text, and spoils no other',
    (secret) => {
      const mask = createSecretMask([secret]);
      const text = `a test of filename images: 1 key in 42 (${secret})`;
      expect(mask.text(text)).toBe(text);
      expect(mask.text(secret)).toBe(REDACTED);
      expect(mask.value({ [`${secret}s`]: [secret, 1.5] })).toEqual({
        [`${secret}s`]: [REDACTED, 1.5],
      });
    },
  );

  test('of four signs or more goes where it is a word of its own', () => {
    const mask = createSecretMask(['k-42x']);
    expect(mask.text('key k-42x refused, "k-42x", k-42xy and ak-42x')).toBe(
      `key ${REDACTED} refused, "${REDACTED}", k-42xy and ak-42x`,
    );
  });
});

describe('values', () => {
  const mask = createSecretMask([KEY, '123456789'], ['api_key']);

  test('are masked at any depth, names of members and numbers too', () => {
    expect(
      mask.value({
        a: [{ b: `x ${KEY}` }, 123456789, 123456789n, '123456789'],
        [KEY]: 1,
        seed: 18446744073709551615n,
      }),
    ).toEqual({
      a: [{ b: `x ${REDACTED}` }, REDACTED, REDACTED, REDACTED],
      [REDACTED]: 1,
      seed: 18446744073709551615n,
    });
  });

  test('go whole under a secret name', () => {
    expect(mask.value({ api_key: [1], API_KEY: 'x', inner: { api_key: '' } })).toEqual({
      api_key: REDACTED,
      API_KEY: REDACTED,
      inner: { api_key: REDACTED },
    });
    expect(mask.value({ api_key: null })).toEqual({ api_key: null });
  });

  test('without a secret are handed back as they are', () => {
    const bytes = Buffer.from(KEY);
    const value = { a: [1, { b: null, bytes }], c: undefined };
    expect(mask.value(value)).toBe(value);
    expect(NO_MASK.value(value)).toBe(value);
  });

  test('no secret is no mask', () => {
    expect(createSecretMask(['', '  '])).toBe(NO_MASK);
  });
});
