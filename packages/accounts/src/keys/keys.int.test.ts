import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { startTestRedis, stopEverything, until, type TestRedis } from '@tiercel/testkit';
import { actor, startMember, testConfig, type Member } from '../accounts.test-helpers.ts';
import { AuditLog } from '../audit-log.ts';
import { RedisNames } from '@tiercel/contracts';
import type { MadeKey } from './key-store.ts';

let server: TestRedis;
let here: Member;
let there: Member;
const adminKey = 'an-admin-key-of-the-configuration';

beforeAll(async () => {
  server = await startTestRedis();
  here = await startMember(server, testConfig({ adminKey }));
  there = await startMember(server, testConfig({ adminKey }));
});
beforeEach(() => server.flush());
afterAll(stopEverything);

const wanted = {
  ...{ name: 'n', tenant: 'acme', plan: 'pro', role: 'user' as const },
  expiresAt: undefined,
};
async function make(more: { expiresAt?: number; tenant?: string } = {}): Promise<MadeKey> {
  const made = await here.keys.create({ ...wanted, ...more }, actor);
  if (made === undefined) throw new Error('no key was made');
  return made;
}
/** Resolves when a key is refused; fails when that takes too long. */
const refuses = (member: Member, key: string, withinMs: number): Promise<unknown> =>
  until(async () => {
    const identified = member.authenticator.identify(key);
    return await identified.then(
      () => false,
      () => true,
    );
  }, withinMs);
const refusal = (words: RegExp) => ({
  code: 'unauthorized',
  message: expect.stringMatching(words),
});

describe('an API key', () => {
  test('stands for its tenant, plan and role on every process, and only its hash is stored', async () => {
    const { key, record } = await make();
    expect(key).toMatch(/^tk_[\w-]{43}$/);
    for (const member of [here, there]) {
      expect(await member.authenticator.identify(key)).toMatchObject({
        ...{ tenant: 'acme', plan: 'pro', role: 'user', keyId: record.id },
      });
    }
    for (const name of await here.redis.keys('*')) {
      const type = await here.redis.type(name);
      const dump = type === 'hash' ? await here.redis.hgetall(name) : await here.redis.dump(name);
      expect(name + JSON.stringify(dump)).not.toContain(key);
    }
  });

  test.each([
    'tk_',
    'nonsense',
    `tk_${'A'.repeat(43)}`,
    '',
    'a.b.c',
    `${adminKey}x`,
    'x'.repeat(9999),
  ])('that is none, %j, is refused', async (text) => {
    await make();
    await expect(here.authenticator.identify(text)).rejects.toMatchObject({ code: 'unauthorized' });
  });

  test('of the configuration is an administrator', async () => {
    expect(await here.authenticator.identify(adminKey)).toMatchObject({
      role: 'admin',
      keyId: 'admin',
    });
  });

  test('that is revoked on one process is refused by another within a second', async () => {
    const { key, record } = await make();
    await there.authenticator.identify(key);
    await here.keys.revoke(record.id, actor);
    await refuses(there, key, 1_000);
    await expect(there.authenticator.identify(key)).rejects.toMatchObject(refusal(/revoked/));
    expect((await here.keys.read(record.id)).revokedAt).toBeDefined();
  });

  test('that is revoked is refused within a second also where no message arrives', async () => {
    const { key, record } = await make();
    await there.authenticator.identify(key);
    await there.subscriberConnection.unsubscribe();
    await here.keys.revoke(record.id, actor);
    await refuses(there, key, 1_000);
    await there.subscriberConnection.subscribe(new RedisNames('test').accountsChannel);
  });

  test('is not let in from memory while Redis cannot be asked', async () => {
    const { key } = await make();
    const alone = await startMember(server);
    await alone.authenticator.identify(key);
    alone.redis.disconnect();
    await until(() => !alone.watch.isCurrent, 2_000);
    await expect(alone.authenticator.identify(key)).rejects.not.toMatchObject({ tenant: 'acme' });
  });

  test('expires by the clock of Redis, and says so', async () => {
    const { key } = await make({ expiresAt: (await here.keys.nowMs()) + 300 });
    const identity = await here.authenticator.identify(key);
    expect(await here.authenticator.isGood(identity)).toBe(true);
    await refuses(here, key, 2_000);
    await expect(here.authenticator.identify(key)).rejects.toMatchObject(refusal(/expired/));
    expect(await here.authenticator.isGood(identity)).toBe(false);
  });

  test('that is rotated has another text; the earlier one ends, at once or after its grace', async () => {
    const first = await make();
    const second = await here.keys.rotate(first.record.id, 60_000, actor);
    expect(second.record).toMatchObject({ tenant: 'acme', plan: 'pro', role: 'user' });
    await here.authenticator.identify(first.key);
    const third = await here.keys.rotate(second.record.id, 0, actor);
    await expect(here.authenticator.identify(second.key)).rejects.toMatchObject(refusal(/revoked/));
    await here.authenticator.identify(third.key);
    await expect(here.keys.rotate(second.record.id, 0, actor)).rejects.toMatchObject({
      code: 'bad_request',
    });
    await expect(here.keys.rotate('key_none', 0, actor)).rejects.toMatchObject({
      code: 'key_unknown',
    });
  });

  test('notes its use, at most once a minute', async () => {
    const { key, record } = await make();
    await here.authenticator.identify(key);
    await until(async () => (await here.keys.read(record.id)).lastUsedAt !== undefined);
    const first = (await here.keys.read(record.id)).lastUsedAt;
    await there.authenticator.identify(key);
    await here.authenticator.identify(key);
    expect((await here.keys.read(record.id)).lastUsedAt).toBe(first);
  });

  test('is made only once as the first one, whoever tries at the same moment', async () => {
    const tries = [here, there, here, there].map((member) =>
      member.keys.create(wanted, actor, { onlyFirst: true }),
    );
    const made = (await Promise.all(tries)).filter((key) => key !== undefined);
    expect(made).toHaveLength(1);
  });

  test.each(['ip:10.0.0.1', '', ' acme', 'a\u001fb', 'a\nb', 'x'.repeat(129)])(
    'is not made for the tenant %j',
    async (tenant) => {
      await expect(make({ tenant })).rejects.toMatchObject({ code: 'bad_request' });
    },
  );

  test('leaves an audit of what was done, without its text', async () => {
    const { key, record } = await make();
    await here.keys.revoke(record.id, actor);
    await here.keys.revoke(record.id, actor);
    const audit = new AuditLog(here.redis, new RedisNames('test'), 100);
    const entries = await audit.readPage(10);
    expect(entries.map(({ action, target, who, from }) => [action, target, who, from])).toEqual([
      ['key.revoke', record.id, 'test', 'here'],
      ['key.create', record.id, 'test', 'here'],
    ]);
    expect(JSON.stringify(entries)).not.toContain(key);
    expect(entries[1]?.after).toMatchObject({ tenant: 'acme', plan: 'pro' });
  });
});

test('keys that ended long ago are on no list', async () => {
  const { record } = await make();
  const hash = (await here.redis.hget('test:api-keys', record.id)) ?? '';
  await here.redis.del(`test:api-key:${hash}`);
  const other = await make();
  const listed = await here.keys.list();
  expect(listed.map(({ id }) => id)).toEqual([other.record.id]);
  expect(await here.redis.hlen('test:api-keys')).toBe(1);
});
