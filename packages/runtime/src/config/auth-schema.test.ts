import { describe, expect, test } from '@jest/globals';
import { fileSchema } from './file-schema.ts';

const refusalOf = (file: unknown): string[] =>
  fileSchema.safeParse(file).error?.issues.map((issue) => issue.path.join('.')) ?? [];

describe('trustedProxies', () => {
  test.each(['10.0.0.1', '10.0.0.0/8', '::1', '2001:db8::/32', 'loopback', 'uniquelocal'])(
    'takes %s',
    (range) => {
      expect(refusalOf({ trustedProxies: [range] })).toEqual([]);
    },
  );

  test.each([
    ...['proxy.local', '10.0.0.0/33', '2001:db8::/129', '10.0.0.0/8/8', '10.0.0.0/', ''],
    ...['*', '0.0.0.0/0', '10.0.0.0/0', '::/0', '::/00'],
  ])('refuses "%s", which would trust nobody, somebody else, or everybody', (range) => {
    expect(refusalOf({ trustedProxies: [range] })).toEqual(['trustedProxies.0']);
  });
});

describe('auth', () => {
  const jwt = {
    issuer: 'https://id.example',
    audience: 'tiercel',
    jwksUrl: 'https://id.example/k',
  };

  test('takes a provider, with one audience or several', () => {
    expect(refusalOf({ auth: { mode: 'required', jwt } })).toEqual([]);
    expect(refusalOf({ auth: { jwt: { ...jwt, audience: ['a', 'b'] } } })).toEqual([]);
  });

  test.each(['issuer', 'audience', 'jwksUrl'])('refuses a provider without %s', (name) => {
    expect(refusalOf({ auth: { jwt: { ...jwt, [name]: undefined } } })).toEqual([
      `auth.jwt.${name}`,
    ]);
  });

  test.each(['', 'two words', 'line\nbreak'])('refuses the admin key %j', (adminKey) => {
    expect(refusalOf({ auth: { mode: 'required', adminKey } })).toEqual(['auth.adminKey']);
  });
});

describe('plans', () => {
  test('take every field, and null for no limit', () => {
    const plan = {
      ...{ weight: 0.5, maxRunning: 2, maxPending: null, intervalMs: null, jobsPerDay: 100 },
      ...{ maxJobMs: 60_000, maxPixels: 1_000_000, maxBatch: 4, fallback: 'never' },
      ...{ mayOmit: ['lora'], tiers: ['gpu'], nodes: null, denyNodes: ['SaveImage'], pool: 'big' },
      ...{ soft: true, order: 'short-first', preempts: false, preemptible: true },
      budget: { day: 1.5, month: null },
    };
    expect(refusalOf({ plans: { team: plan, free: {} } })).toEqual([]);
  });

  test.each([{ wieght: 2 }, { weight: 0 }, { maxRunning: 0 }, { intervalMs: 1.5 }, { order: 'x' }])(
    'refuse %j',
    (plan) => {
      expect(refusalOf({ plans: { team: plan } })).toHaveLength(1);
    },
  );

  test('have names that fit into keys and metrics', () => {
    expect(refusalOf({ plans: { 'a b': {} } })).toHaveLength(1);
  });
});
