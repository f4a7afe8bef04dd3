import { createHmac } from 'node:crypto';
import { afterAll, beforeEach, describe, expect, test } from '@jest/globals';
import { loadConfig } from '@tiercel/runtime';
import { findDeadUrl, serveHttp, stopEverything } from '@tiercel/testkit';
import { exportJWK, generateKeyPair, SignJWT, type JWK, type JWTPayload } from 'jose';
import { isTokenText, JwtVerifier } from './jwt-verifier.ts';

const ISSUER = 'https://id.example';
const COOLDOWN_MS = 50;

/** A provider: keys by id, and what it serves of them. */
class Provider {
  readonly #served: JWK[] = [];
  #readings = 0;

  get readings(): number {
    return this.#readings;
  }

  async serve(): Promise<string> {
    const { url } = await serveHttp((_req, res) => {
      this.#readings += 1;
      res.setHeader('content-type', 'application/json');
      res.end(JSON.stringify({ keys: this.#served }));
    });
    return url;
  }

  /** Signs with a new key from now on; without `keep` the earlier ones are withdrawn. */
  async rotate(kid: string, { keep = false, alg = 'ES256' } = {}) {
    const { privateKey, publicKey } = await generateKeyPair(alg);
    if (!keep) this.#served.length = 0;
    this.#served.push({ ...(await exportJWK(publicKey)), kid, alg });
    return (claims: JWTPayload, header: object = {}) =>
      new SignJWT({ iss: ISSUER, aud: 'tiercel', sub: 'acme', exp: nowSeconds() + 60, ...claims })
        .setProtectedHeader({ alg, kid, ...header })
        .sign(privateKey);
  }
}

const nowSeconds = () => Math.floor(Date.now() / 1000);
let provider: Provider;
let sign: Awaited<ReturnType<Provider['rotate']>>;
let verify: (token: string) => ReturnType<JwtVerifier['verify']>;

function createVerifier(jwksUrl: string, more: object = {}) {
  const claims = { tenant: 'sub', plan: 'plan', role: 'role' };
  const { auth } = loadConfig({ TIERCEL_CONFIG: '/dev/null' });
  const jwt = {
    issuer: ISSUER,
    audience: 'tiercel',
    jwksUrl,
    claims,
    defaultPlan: 'free',
    ...more,
  };
  const verifier = new JwtVerifier({ ...auth.jwt, ...jwt }, COOLDOWN_MS);
  return (token: string) => verifier.verify(token, Date.now());
}

beforeEach(async () => {
  provider = new Provider();
  sign = await provider.rotate('first');
  verify = createVerifier(await provider.serve());
});
afterAll(stopEverything);

const refused = { code: 'unauthorized' };

describe('a token of the provider', () => {
  test.each(['ES256', 'RS256', 'EdDSA'])(
    'signed with %s names tenant, plan and role',
    async (alg) => {
      const signed = await (
        await provider.rotate('other', { alg })
      )({ plan: 'pro', role: 'internal' });
      expect(isTokenText(signed)).toBe(true);
      expect(await verify(signed)).toMatchObject({ tenant: 'acme', plan: 'pro', role: 'internal' });
    },
  );

  test('needs to name only a tenant', async () => {
    expect(await verify(await sign({}))).toMatchObject({
      tenant: 'acme',
      plan: undefined,
      role: 'user',
    });
  });

  test('may have its claims elsewhere, by whole names or as members, and several roles', async () => {
    verify = createVerifier(await provider.serve(), {
      claims: { tenant: 'https://x.example/tenant', plan: 'app.plan', role: 'realm.roles' },
    });
    const token = await sign({
      ...{ 'https://x.example/tenant': 'Firma Ä', app: { plan: 'team' } },
      realm: { roles: ['reader', 'admin', 'user'] },
    });
    expect(await verify(token)).toMatchObject({ tenant: 'Firma Ä', plan: 'team', role: 'admin' });
  });

  test.each<[string, JWTPayload]>([
    ['has expired', { exp: nowSeconds() - 10 }],
    ['never expires', { exp: undefined as unknown as number }], // leaves the claim out
    ['is not good yet', { nbf: nowSeconds() + 60 }],
    ['is of another issuer', { iss: 'https://evil.example' }],
    ['is for somebody else', { aud: 'another' }],
    ['names no tenant', { sub: '' }],
    ['names an address as its tenant', { sub: 'ip:10.0.0.1' }],
    ['names the tenant of the time without keys', { sub: 'default' }],
    ['names something else as its tenant', { sub: ['a'] as unknown as string }],
  ])('that %s is refused', async (_why, claims) => {
    await expect(verify(await sign(claims))).rejects.toMatchObject(refused);
  });

  test('is good a little longer than it says, for clocks that differ', async () => {
    await verify(await sign({ exp: nowSeconds() - 2 }));
  });

  test('without a signature, signed by anybody, or by a word that all know, is refused', async () => {
    const [, payload = ''] = (await sign({})).split('.');
    const header = (alg: string) =>
      Buffer.from(JSON.stringify({ alg, kid: 'first' })).toString('base64url');
    const hs = `${header('HS256')}.${payload}`;
    const forged = [
      `${header('none')}.${payload}.`,
      `${hs}.${createHmac('sha256', 'public').update(hs).digest('base64url')}`,
      await (await new Provider().rotate('first'))({}),
    ];
    for (const token of forged) await expect(verify(token)).rejects.toMatchObject(refused);
  });
});

describe('the keys of the provider', () => {
  test('may change: a new one is read when a token names it, a withdrawn one ends with that', async () => {
    const old = await sign({});
    await verify(old);
    // However short a time after the last reading, and however many come at once.
    const next = await provider.rotate('second', { keep: true });
    await Promise.all([1, 2, 3].map(async () => verify(await next({}))));
    expect(provider.readings).toBe(2);
    await verify(old);
    const last = await provider.rotate('third');
    await new Promise((done) => setTimeout(done, COOLDOWN_MS));
    await verify(await last({}));
    await expect(verify(old)).rejects.toMatchObject(refused);
  });

  test('are not read anew for each token that is made up', async () => {
    await verify(await sign({}));
    const forge = await new Provider().rotate('made up');
    const tries = Array.from({ length: 20 }, async () => verify(await forge({})));
    for (const tried of tries) await expect(tried).rejects.toMatchObject(refused);
    expect(provider.readings).toBeLessThan(4);
  });

  test('that cannot be read are no word on the token: the caller may try again', async () => {
    const unreachable = createVerifier(await findDeadUrl());
    const { url } = await serveHttp((_req, res) => res.writeHead(500).end('oops'));
    for (const ask of [unreachable, createVerifier(url)]) {
      await expect(ask(await sign({}))).rejects.toMatchObject({
        ...{ code: 'identity_unavailable', retryAfterSeconds: 5 },
      });
    }
  });
});
