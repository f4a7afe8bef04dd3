import type { PolicyStore } from '@tiercel/accounts';
import type { TenantLoad, TenantLoads } from '@tiercel/queue';

export interface PlanLoad {
  /** A plan that is known, `none`, or `other`. */
  readonly plan: string;
  readonly pending: number;
  readonly running: number;
}

type Policy = Pick<PolicyStore, 'read' | 'listNames'>;

/** The plan that counts for a tenant with jobs; undefined for one without limits. */
export function planOf({ tenant, plan }: TenantLoad, policy: Policy): string | undefined {
  return policy.read('tenants', tenant).effective.plan ?? plan;
}

/** What the tenants of each plan have in the queue, all together. Plans that nobody knows any more are one. */
export async function readPlanLoads(loads: TenantLoads, policy: Policy): Promise<PlanLoad[]> {
  const names = ['none', ...policy.listNames('plans')];
  const sums = new Map(names.map((plan) => [plan, { plan, pending: 0, running: 0 }]));
  for (const load of await loads.read()) {
    const named = planOf(load, policy) ?? 'none';
    const plan = sums.has(named) ? named : 'other';
    const sum = sums.get(plan) ?? { plan, pending: 0, running: 0 };
    sum.pending += load.pending;
    sum.running += load.running;
    sums.set(plan, sum);
  }
  return [...sums.values()];
}
