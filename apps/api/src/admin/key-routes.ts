import { describeKey, type KeyStore, type PolicyStore } from '@tiercel/accounts';
import { AppError, ROLES } from '@tiercel/contracts';
import { z } from 'zod';
import { describeRoute, describeSilentRoute, type AdminRoute } from './admin-route.ts';

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
        const listed = await keys.list(tenant);
        return { keys: listed.map((record) => describeKey(record, nowMs)) };
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
        return { ...describeKey(made.record, made.record.createdAt), key: made.key };
      },
    }),
    describeRoute({
      ...{ method: 'GET', path: '/keys/:id', tag, summary: 'A key', errors, answer: keyShown },
      handle: async ({ param }) => describeKey(await keys.read(param('id')), await keys.nowMs()),
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
        return { ...describeKey(made.record, made.record.createdAt), key: made.key };
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
