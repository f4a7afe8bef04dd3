import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { RedisNames } from '@tiercel/contracts';
import { startTestRedis, stopEverything, until, type TestRedis } from '@tiercel/testkit';
import { actor, startMember, testConfig, type Member } from '../accounts.test-helpers.ts';
import { AuditLog } from '../audit-log.ts';

let server: TestRedis;
let here: Member;
let there: Member;

beforeAll(async () => {
  server = await startTestRedis();
  const config = {
    ...testConfig(),
    plans: { free: { maxRunning: 3, budget: { day: 5 } }, team: {} },
  };
  here = await startMember(server, config);
  there = await startMember(server, config);
});
beforeEach(async () => {
  for (const kind of ['plans', 'tenants', 'tiers', 'pools'] as const) {
    for (const name of here.policy.listNames(kind)) await here.policy.reset(kind, name, actor);
  }
});
afterAll(stopEverything);

describe('a change by an administrator', () => {
  test('counts on every process within a second, and for a process that starts later', async () => {
    await here.policy.set('plans', 'free', { maxRunning: 7 }, actor);
    expect(here.policy.effectivePlan('acme', 'free').maxRunning).toBe(7);
    await until(() => there.policy.effectivePlan('acme', 'free').maxRunning === 7, 1_000);
    const late = await startMember(server);
    expect(late.policy.effectivePlan('acme', 'free').maxRunning).toBe(7);
  });

  test('counts within a second also where no message arrives', async () => {
    await there.subscriberConnection.unsubscribe();
    await here.policy.set('tenants', 'acme', { blocked: true }, actor);
    await until(() => there.policy.isBlocked('acme'), 1_000);
    await there.subscriberConnection.subscribe(new RedisNames('test').accountsChannel);
  });

  test('tells those who wait for changes, when it is in effect', async () => {
    const told = new Promise<number | undefined>((resolve) => {
      const stop = there.policy.onChange(() => {
        const { weight } = there.policy.effectivePlan('acme', 'pro');
        if (weight !== 9) return;
        stop();
        resolve(weight);
      });
    });
    await here.policy.set('plans', 'pro', { weight: 9 }, actor);
    expect(await told).toBe(9);
  });

  test('is told apart from what the file says', async () => {
    await here.policy.set('plans', 'free', { maxRunning: null, budget: { month: 50 } }, actor);
    expect(here.policy.read('plans', 'free')).toEqual({
      file: { weight: 1, maxPending: 1_000, maxRunning: 3, budget: { day: 5 } },
      override: { maxRunning: null, budget: { month: 50 } },
      effective: {
        ...{ weight: 1, maxPending: 1_000, maxRunning: null },
        budget: { day: 5, month: 50 },
      },
    });
    await here.policy.reset('plans', 'free', actor);
    expect(here.policy.read('plans', 'free')).toMatchObject({
      override: undefined,
      effective: { maxRunning: 3 },
    });
  });

  test.each([{ weight: -1 }, { maxRunnning: 1 }, { maxRunning: 'many' }])(
    'that the file’s schema refuses, %j, changes nothing',
    async (plan) => {
      const wrong = plan as { weight: number }; // what the type forbids may come by HTTP
      await expect(here.policy.set('plans', 'free', wrong, actor)).rejects.toThrow();
      expect(here.policy.read('plans', 'free').override).toBeUndefined();
    },
  );

  test('is on the audit log with what was before and after, and repeating it is no change', async () => {
    await here.policy.set('plans', 'team', { weight: 2 }, actor);
    await here.policy.set('plans', 'team', { weight: 2 }, { who: 'other', from: 'there' });
    await here.policy.set('plans', 'team', { weight: 3 }, { who: 'other', from: 'there' });
    const audit = new AuditLog(here.redis, new RedisNames('test'), 100);
    const [second, first] = await audit.readPage(2);
    expect(first).toMatchObject({
      ...{ action: 'plans.set', target: 'team', ...actor, before: null, after: { weight: 2 } },
    });
    expect(second).toMatchObject({
      ...{ who: 'other', from: 'there', before: { weight: 2 }, after: { weight: 3 } },
    });
    const all: string[] = [];
    for await (const entries of audit.export()) all.push(...entries.map(({ id }) => id));
    expect(all.slice(-2)).toEqual([first?.id, second?.id]);
    expect(await audit.readPage(1, second?.id)).toEqual([first]);
  });
});

test('a setting in Redis that cannot be read does not stop a process', async () => {
  await here.redis.hset('test:plans', 'broken', '{"weight":"x"}', 'worse', '{');
  const late = await startMember(server);
  expect(late.policy.listNames('plans')).not.toContain('broken');
  await here.redis.hdel('test:plans', 'broken', 'worse');
});

describe('what a tenant may use', () => {
  test('is by default what the original gave to strangers: one job at a time, a start in six seconds', () => {
    expect(here.policy.effectivePlan('ip:10.0.0.1', 'anonymous')).toMatchObject({
      ...{ weight: 1, maxRunning: 1, intervalMs: 6_000, soft: false, order: 'arrival' },
    });
  });

  test('is unlimited without a plan', () => {
    expect(here.policy.effectivePlan('default', undefined)).toEqual({
      ...{ weight: 1, soft: false, order: 'arrival', preempts: false, preemptible: false },
      budget: {},
    });
  });

  test.each(['gone', 'constructor', '__proto__'])(
    'is that of strangers with the plan %s, which nobody knows',
    (plan) => {
      expect(here.policy.effectivePlan('acme', plan).maxRunning).toBe(1);
    },
  );

  test('is changed for one tenant alone: another plan, and words over it', async () => {
    await here.policy.set('tenants', 'acme', { plan: 'pro', overrides: { maxRunning: 2 } }, actor);
    expect(here.policy.effectivePlan('acme', 'free')).toMatchObject({ weight: 4, maxRunning: 2 });
    expect(here.policy.effectivePlan('other', 'free')).toMatchObject({ weight: 1, maxRunning: 3 });
  });
});
