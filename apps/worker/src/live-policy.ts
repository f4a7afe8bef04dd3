import { ChangeWatch, PolicyStore } from '@tiercel/accounts';
import { DEFAULT_TENANT } from '@tiercel/contracts';
import type { Consumer } from '@tiercel/queue';
import type { Tier } from '@tiercel/routing';
import type { RunningProcess } from '@tiercel/runtime';
import { readPool } from './pool-rules.ts';
import type { JobLimits } from './to-attempt-request.ts';

/** What administrators have set, as far as it concerns a worker. */
export async function openPolicy(parts: RunningProcess): Promise<PolicyStore> {
  const { config, log, lifecycle, names, redis, subscriberConnection } = parts;
  const watch = new ChangeWatch({ redis, subscriberConnection, names, log });
  const policy = new PolicyStore({ redis, names, watch, config, log });
  lifecycle.onClose('policy', () => {
    policy.stop();
    watch.stop();
  });
  await parts.whileStarting(watch.start());
  await parts.whileStarting(policy.start());
  return policy;
}

/**
 * A tier that follows what administrators set of it, while it is in use.
 * @param pool the worker's
 */
export function followPolicy(tier: Tier, policy: Pick<PolicyStore, 'read'>, pool: string): Tier {
  const { name } = tier.backend;
  return {
    ...tier,
    get concurrency() {
      const { concurrency } = policy.read('tiers', name).override ?? {};
      return concurrency === undefined ? tier.concurrency : (concurrency ?? undefined);
    },
    get closed() {
      const { enabled, drain } = policy.read('tiers', name).effective;
      if (enabled === false) return { reason: 'an administrator has disabled it', isForNow: false };
      if (drain === true) return { reason: 'an administrator is draining it', isForNow: true };
      if (!readPool(pool, policy).uses(name)) {
        return { reason: `the pool ${pool} does not use it`, isForNow: false };
      }
      return undefined;
    },
  };
}

/** What the plan of a tenant says now of how its jobs are run; nothing for a tenant without one. */
export async function readJobLimits(
  tenant: string,
  policy: Pick<PolicyStore, 'effectivePlan'>,
  consumer: Pick<Consumer, 'readTenantPlan'>,
): Promise<JobLimits> {
  if (tenant === DEFAULT_TENANT) return {};
  const { plan, isUnlimited } = await consumer.readTenantPlan(tenant);
  if (isUnlimited) return {};
  const { fallback, mayOmit, tiers, maxJobMs } = policy.effectivePlan(tenant, plan);
  const budget = () => policy.effectivePlan(tenant, plan).budget;
  return { fallback, mayOmit, tiers, maxJobMs, budget };
}
