import { POLICY_SCHEMAS, type PolicyStore } from '@tiercel/accounts';
import { ADDRESS_TENANT, AppError, isTenantName } from '@tiercel/contracts';
import { planSchema } from '@tiercel/runtime';
import { z } from 'zod';
import { tenantOfText } from '../identity/caller-address.ts';
import { describeRoute, describeSilentRoute, type AdminRoute } from './admin-route.ts';
import { show, shownSchema } from './shown.ts';

const PLAN_NAME = /^[\w.-]{1,64}$/;
const PLAN_LIMITS = z
  .record(z.string(), z.unknown())
  .describe('The plan as it counts for this tenant; what it does not name has no limit');

/** Plans, and what single tenants have besides. */
export function createPlanRoutes(policy: PolicyStore): AdminRoute[] {
  const tag = 'plans';
  const shown = shownSchema(POLICY_SCHEMAS.plans);
  const tenantShown = shownSchema(POLICY_SCHEMAS.tenants).extend({ limits: PLAN_LIMITS });
  const showTenant = (tenant: string) => {
    const { effective, ...rest } = show(policy, 'tenants', tenant);
    return { ...rest, effective, limits: { ...policy.effectivePlan(tenant, effective.plan) } };
  };
  return [
    describeRoute({
      ...{ method: 'GET', path: '/plans', tag, summary: 'All plans' },
      answer: z.object({ plans: z.array(shown) }),
      handle: () =>
        Promise.resolve({
          plans: policy.listNames('plans').map((name) => show(policy, 'plans', name)),
        }),
    }),
    describeRoute({
      ...{ method: 'GET', path: '/plans/:name', tag, summary: 'A plan' },
      ...{ answer: shown, errors: ['not_found'] },
      handle: ({ param }) => {
        requirePlan(policy, param('name'));
        return Promise.resolve(show(policy, 'plans', param('name')));
      },
    }),
    describeRoute({
      ...{ method: 'PUT', path: '/plans/:name', tag },
      summary: 'Sets what counts over the file’s word, for what waits already too',
      ...{ body: planSchema, answer: shown },
      handle: async ({ param, body, actor }) => {
        const name = param('name');
        if (!PLAN_NAME.test(name)) {
          throw new AppError(
            'bad_request',
            'A plan’s name is 1 to 64 letters, digits, dots, dashes or underscores.',
          );
        }
        await policy.set('plans', name, body, actor);
        return show(policy, 'plans', name);
      },
    }),
    describeSilentRoute({
      ...{ method: 'DELETE', path: '/plans/:name', tag, errors: ['not_found'] },
      summary: 'Takes back what was set; a plan that the file does not name is gone',
      handle: async ({ param, actor }) => {
        requirePlan(policy, param('name'));
        await policy.reset('plans', param('name'), actor);
      },
    }),
    describeRoute({
      ...{ method: 'GET', path: '/tenants', tag: 'tenants' },
      summary: 'The tenants of which an administrator has set something',
      answer: z.object({ tenants: z.array(tenantShown) }),
      handle: () => Promise.resolve({ tenants: policy.listNames('tenants').map(showTenant) }),
    }),
    describeRoute({
      ...{ method: 'GET', path: '/tenants/:id', tag: 'tenants', summary: 'A tenant' },
      answer: tenantShown,
      handle: ({ param }) => Promise.resolve(showTenant(param('id'))),
    }),
    describeRoute({
      ...{ method: 'PUT', path: '/tenants/:id', tag: 'tenants' },
      summary: 'Sets its plan, what counts over the plan’s word, and whether it is blocked',
      ...{ body: POLICY_SCHEMAS.tenants, answer: tenantShown },
      handle: async ({ param, body, actor }) => {
        const tenant = param('id');
        requireTenantName(tenant);
        if (body.plan !== undefined && !policy.isPlan(body.plan)) {
          const plans = policy.listNames('plans').join(', ');
          throw new AppError('bad_request', `plan: there is no such plan, only ${plans}.`);
        }
        await policy.set('tenants', tenant, body, actor);
        return showTenant(tenant);
      },
    }),
    describeSilentRoute({
      ...{ method: 'DELETE', path: '/tenants/:id', tag: 'tenants' },
      summary: 'Takes back what was set of a tenant',
      handle: ({ param, actor }) => policy.reset('tenants', param('id'), actor),
    }),
  ];
}

/** What is set of a tenant that nobody can be would be without effect. */
function requireTenantName(tenant: string): void {
  if (!tenant.startsWith(ADDRESS_TENANT)) {
    if (isTenantName(tenant)) return;
    throw new AppError('bad_request', 'A tenant is 1 to 128 printable characters.');
  }
  const named = tenantOfText(tenant.slice(ADDRESS_TENANT.length));
  if (named === tenant) return;
  throw new AppError(
    'bad_request',
    named === undefined
      ? `After ${ADDRESS_TENANT} comes the address of anonymous callers, such as ${ADDRESS_TENANT}192.0.2.7.`
      : `Anonymous callers of that address are the tenant ${named}.`,
  );
}

function requirePlan(policy: PolicyStore, name: string): void {
  if (policy.isPlan(name)) return;
  throw new AppError('not_found', `There is no plan ${JSON.stringify(name)}.`);
}
