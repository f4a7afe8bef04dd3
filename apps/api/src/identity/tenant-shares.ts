import type { PolicyStore } from '@tiercel/accounts';
import { DEFAULT_TENANT, type Caller } from '@tiercel/contracts';
import type { Producer, TenantLimits } from '@tiercel/queue';
import { CoalescedRefresh, type Logger } from '@tiercel/runtime';

interface Tenant {
  readonly id: string;
  readonly limits: TenantLimits;
}

/** Tenants whose limits are written at the same time. */
const AT_ONCE = 32;

/** How callers share the workers: by their plans, and by what an administrator sets while jobs wait. */
export class TenantShares {
  readonly #policy: PolicyStore;
  readonly #producer: Producer;
  readonly #log: Logger;
  readonly #rewrite = new CoalescedRefresh(() => this.#tryRewrite());
  readonly #stopListening: () => void;

  constructor(dependencies: { policy: PolicyStore; producer: Producer; log: Logger }) {
    this.#policy = dependencies.policy;
    this.#producer = dependencies.producer;
    this.#log = dependencies.log;
    this.#stopListening = this.#policy.onChange(() => void this.#rewrite.run());
  }

  stop(): void {
    this.#stopListening();
  }

  /** Whose a job is that this caller posts; undefined: nobody's in particular, and not limited. */
  of({ tenant, plan, role }: Caller): Tenant | undefined {
    if (tenant === DEFAULT_TENANT) return undefined;
    return this.#find(tenant, plan, role === 'internal');
  }

  #find(id: string, plan: string | undefined, isUnlimited: boolean): Tenant {
    const { weight = 1, ...limits } = this.#policy.effectivePlan(id, plan);
    const { maxRunning, intervalMs, soft, order, preempts, preemptible: isPreemptible } = limits;
    if (isUnlimited) return { id, limits: { plan, isUnlimited, weight } };
    const ofPlan = { plan, weight, maxRunning, intervalMs, soft, order, preempts, isPreemptible };
    return { id, limits: ofPlan };
  }

  /** What was set applies to jobs that wait already. */
  async #tryRewrite(): Promise<void> {
    try {
      const tenants = await this.#producer.listWaitingTenants();
      for (let at = 0; at < tenants.length; at += AT_ONCE) {
        await Promise.all(
          tenants.slice(at, at + AT_ONCE).map(async ({ id, plan, isUnlimited }) => {
            await this.#producer.putLimits(id, this.#find(id, plan, isUnlimited).limits);
          }),
        );
      }
    } catch (error) {
      // The next job of a tenant brings its limits.
      this.#log.warn({ err: error }, 'limits of tenants whose jobs wait could not be written');
    }
  }
}
