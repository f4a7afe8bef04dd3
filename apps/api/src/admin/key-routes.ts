import { keyState, type KeyRecord, type KeyStore, type PolicyStore } from '@tiercel/accounts';
import { AppError, ROLES } from '@tiercel/contracts';
import { z } from 'zod';
import { describeRoute, describeSilentRoute, type AdminRoute } from './admin-route.ts';
import { iso } from './shown.ts';

const time = z.iso.datetime().nullable();
const keyShown = z.object({
  id: z.string(),
  name: z.string(),
  tenant: z.string(),
  plan: z.string(),
  role: z.enum(ROLES),
  state: z.enum(['active', 'expired', 'revoked']),
  created_at: time,
  expires_at: time,
  revoked_at: time,
  last_used_at: time,
});
const madeKey = keyShown.extend({ key: z.string().describe('The key itself, shown only now') });
const newKey = z.strictObject({
  tenant: z.string(),
  plan: z.string().default('free'),
  name: z.string().default(''),
  role: z.enum(ROLES).default('user'),
  expires_at: z.iso.datetime({ offset: true }).optional(),
});

/** API keys, as `npm run keys` has them. */
export function createKeyRoutes(keys: KeyStore, policy: PolicyStore): AdminRoute[] {
  const tag = 'keys';
  const errors = ['key_unknown'] as const;
  return [
    describeRoute({
      ...{ method: 'GET', path: '/keys', tag, summary: 'Keys, also ended ones for 30 days' },
      query: z.object({ tenant: z.string().optional() }),
      answer: z.object({ keys: z.array(keyShown) }),
      handle: async ({ query: { tenant } }) => {
        const nowMs = await keys.nowMs();
        const all: KeyRecord[] = [];
        for await (const records of keys.list()) all.push(...records);
        const wanted = all
          .filter((record) => tenant === undefined || record.tenant === tenant)
          .sort((a, b) => a.createdAt - b.createdAt);
        return { keys: wanted.map((record) => showKey(record, nowMs)) };
      },
    }),
    describeRoute({
      ...{ method: 'POST', path: '/keys', tag, summary: 'Makes a key' },
      ...{ body: newKey, answer: madeKey, status: 201 },
      handle: async ({ body, actor }) => {
        const { expires_at, ...wanted } = body;
        if (!policy.isPlan(wanted.plan)) {
          const plans = policy.listNames('plans').join(', ');
          throw new AppError('bad_request', `plan: there is no such plan, only ${plans}.`);
        }
        const expiresAt = expires_at === undefined ? undefined : Date.parse(expires_at);
        const made = await keys.create({ ...wanted, expiresAt }, actor);
        if (made === undefined) throw new Error('a key was not made'); // only with onlyFirst
        return { ...showKey(made.record, made.record.createdAt), key: made.key };
      },
    }),
    describeRoute({
      ...{ method: 'GET', path: '/keys/:id', tag, summary: 'A key', errors, answer: keyShown },
      handle: async ({ param }) => {
        const record = await keys.read(param('id'));
        if (record === undefined) {
          throw new AppError('key_unknown', `There is no key ${JSON.stringify(param('id'))}.`);
        }
        return showKey(record, await keys.nowMs());
      },
    }),
    describeRoute({
      ...{ method: 'POST', path: '/keys/:id/rotate', tag, errors, answer: madeKey, status: 201 },
      summary: 'Makes a key for the same, and ends this one',
      body: z.strictObject({
        grace_ms: z
          .number()
          .int()
          .min(0)
          .max(30 * 86_400_000)
          .default(0)
          .describe('How long the earlier one is still good'),
      }),
      handle: async ({ param, body, actor }) => {
        const made = await keys.rotate(param('id'), body.grace_ms, actor);
        return { ...showKey(made.record, made.record.createdAt), key: made.key };
      },
    }),
    describeSilentRoute({
      ...{ method: 'POST', path: '/keys/:id/revoke', tag, errors },
      summary: 'Ends a key within a second, with all that it holds open',
      handle: ({ param, actor }) => keys.revoke(param('id'), actor),
    }),
    describeSilentRoute({
      ...{ method: 'DELETE', path: '/keys/:id', tag, errors, summary: 'The same as revoke' },
      handle: ({ param, actor }) => keys.revoke(param('id'), actor),
    }),
  ];
}

function showKey(record: KeyRecord, nowMs: number): z.infer<typeof keyShown> {
  const { id, name, tenant, plan, role } = record;
  return {
    ...{ id, name, tenant, plan, role, state: keyState(record, nowMs) },
    created_at: iso(record.createdAt),
    expires_at: iso(record.expiresAt),
    revoked_at: iso(record.revokedAt),
    last_used_at: iso(record.lastUsedAt),
  };
}
