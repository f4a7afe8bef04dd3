import { POLICY_SCHEMAS, type AuditLog, type PolicyStore } from '@tiercel/accounts';
import { AppError } from '@tiercel/contracts';
import type { LiveWorker } from '@tiercel/events';
import { z } from 'zod';
import { describeRoute, describeSilentRoute, type AdminRoute } from './admin-route.ts';
import { show, shownSchema } from './shown.ts';

export interface TierRouteParts {
  readonly policy: PolicyStore;
  readonly audit: AuditLog;
  /** Those that are up. */
  readonly workers: () => readonly LiveWorker[];
}

/** Tiers: enable, disable, drain, limit, and close their breakers. */
export function createTierRoutes({ policy, audit, workers }: TierRouteParts): AdminRoute[] {
  const tag = 'tiers';
  const errors = ['not_found'] as const;
  const shown = shownSchema(POLICY_SCHEMAS.tiers).extend({
    breaker: z.enum(['closed', 'half_open', 'open']).nullable().describe('null: no worker has it'),
    workers: z.number().int().describe('Live workers that have it'),
  });
  const haveIt = (name: string) =>
    workers().flatMap(({ tiers }) => tiers.filter((tier) => tier.name === name));
  const listNames = () => [
    ...new Set([
      ...policy.listNames('tiers'),
      ...workers().flatMap(({ tiers }) => tiers.map(({ name }) => name)),
    ]),
  ];
  const requireTier = (name: string): void => {
    if (listNames().includes(name)) return;
    const known = listNames().join(', ') || 'none';
    throw new AppError('not_found', `There is no tier ${JSON.stringify(name)}, only ${known}.`);
  };
  const showTier = (name: string) => {
    const found = haveIt(name);
    const breaker = found[0]?.breaker ?? null;
    return { ...show(policy, 'tiers', name), breaker, workers: found.length };
  };
  return [
    describeRoute({
      ...{ method: 'GET', path: '/tiers', tag, summary: 'All tiers' },
      answer: z.object({ tiers: z.array(shown) }),
      handle: () => Promise.resolve({ tiers: listNames().map(showTier) }),
    }),
    describeRoute({
      ...{ method: 'GET', path: '/tiers/:name', tag, summary: 'A tier', errors, answer: shown },
      handle: ({ param }) => {
        requireTier(param('name'));
        return Promise.resolve(showTier(param('name')));
      },
    }),
    describeRoute({
      ...{ method: 'PUT', path: '/tiers/:name', tag, errors, answer: shown },
      summary: 'Enables, disables or drains it, and sets its limit, on every worker',
      body: POLICY_SCHEMAS.tiers,
      handle: async ({ param, body, actor }) => {
        requireTier(param('name'));
        await policy.set('tiers', param('name'), body, actor);
        return showTier(param('name'));
      },
    }),
    describeSilentRoute({
      ...{ method: 'DELETE', path: '/tiers/:name', tag, errors },
      summary: 'Takes back what was set of a tier',
      handle: async ({ param, actor }) => {
        requireTier(param('name'));
        await policy.reset('tiers', param('name'), actor);
      },
    }),
    ...(['enable', 'disable', 'drain'] as const).map((action) =>
      describeRoute({
        ...{ method: 'POST', path: `/tiers/:name/${action}`, tag, errors, answer: shown },
        summary: ACTIONS[action].summary,
        handle: async ({ param, actor }) => {
          requireTier(param('name'));
          const { override = {} } = policy.read('tiers', param('name'));
          const setting = { ...override, ...ACTIONS[action].setting };
          await policy.set('tiers', param('name'), setting, actor);
          return showTier(param('name'));
        },
      }),
    ),
    describeSilentRoute({
      ...{ method: 'POST', path: '/tiers/:name/reset-breaker', tag, errors },
      summary: 'Forgets its failures: the next job may try it',
      handle: async ({ param, actor }) => {
        requireTier(param('name'));
        await audit.resetBreaker(param('name'), actor);
      },
    }),
  ];
}

const ACTIONS = {
  enable: { summary: 'Uses a tier again', setting: { enabled: true, drain: false } },
  disable: { summary: 'As if the tier were not there', setting: { enabled: false, drain: false } },
  drain: { summary: 'Begins no new attempts on a tier', setting: { enabled: true, drain: true } },
} as const;
