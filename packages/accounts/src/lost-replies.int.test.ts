import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { RedisNames } from '@tiercel/contracts';
import {
  startRedisProxy,
  startTestRedis,
  stopEverything,
  type RedisProxy,
  type TestRedis,
} from '@tiercel/testkit';
import { actor, startMember, type Member } from './accounts.test-helpers.ts';
import { AuditLog } from './audit-log.ts';

/**
 * An administrator's process is cut off, or dies, between the step that makes a change and its reply: the change is made
 * once, is on record once, and every process follows it.
 */

const names = new RedisNames('test');
let server: TestRedis;
let proxy: RedisProxy;
/** Behind the proxy, and not. */
let cut: Member;
let other: Member;
let audit: AuditLog;

beforeAll(async () => {
  server = await startTestRedis();
  proxy = await startRedisProxy(server.url);
  cut = await startMember({ ...server, url: proxy.url });
  other = await startMember(server);
  audit = new AuditLog(other.redis, names, 100);
});
afterAll(stopEverything);

const listActions = async (): Promise<string[]> =>
  (await audit.readPage(100)).map(({ action }) => action);

test.each<[string, string, () => Promise<unknown>, string]>([
  [
    'setting a plan',
    'lost-plan',
    () => cut.policy.set('plans', 'lost-plan', { weight: 7 }, actor),
    'plans.set',
  ],
  [
    'taking it back',
    'lost-plan',
    () => cut.policy.reset('plans', 'lost-plan', actor),
    'plans.reset',
  ],
  [
    'making a key',
    'lost-key',
    () =>
      cut.keys.create(
        { name: 'lost-key', tenant: 'T', plan: 'free', role: 'user', expiresAt: undefined },
        actor,
      ),
    'key.create',
  ],
])('%s', async (_, text, act, action) => {
  const version = Number((await other.redis.get('test:policy-version')) ?? 0);
  const lost = proxy.loseReplyTo(text);
  await act();
  await lost;
  const actions = await listActions();
  expect(actions.filter((one) => one === action)).toHaveLength(1);
  const isPolicy = action.startsWith('plans');
  const now = Number((await other.redis.get('test:policy-version')) ?? 0);
  expect(now).toBe(version + (isPolicy ? 1 : 0));
});

test('replacing and ending a key', async () => {
  const wanted = {
    name: 'n',
    tenant: 'T',
    plan: 'free',
    role: 'user',
    expiresAt: undefined,
  } as const;
  const first = await other.keys.create(wanted, actor);
  const id = first?.record.id ?? '';
  let lost = proxy.loseReplyTo(id);
  const second = await cut.keys.rotate(id, 0, actor);
  await lost;
  const rotated = (await listActions()).filter((action) => action === 'key.rotate');
  expect(rotated).toHaveLength(1);
  expect((await other.keys.read(id)).revokedAt).toBeDefined();
  lost = proxy.loseReplyTo(second.record.id);
  await cut.keys.revoke(second.record.id, actor);
  await lost;
  const revoked = (await listActions()).filter((action) => action === 'key.revoke');
  expect(revoked).toHaveLength(1);
  expect((await other.keys.read(second.record.id)).revokedAt).toBeDefined();
});
