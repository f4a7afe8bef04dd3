import type { PolicyStore } from '@tiercel/accounts';
import { AppError, MICROS, type Caller } from '@tiercel/contracts';
import type { Demand } from '@tiercel/graph';
import type { NewJob } from '@tiercel/queue';
import type { Config, OverloadWatch } from '@tiercel/runtime';
import { findJobBudget, type JobBudget } from './find-job-budget.ts';

type Policy = Pick<PolicyStore, 'effectivePlan' | 'read' | 'listNames'>;
type Overload = Pick<OverloadWatch, 'isTaken' | 'recoverMs'>;

/** Which prompts a caller may post, by his plan. */
export class Admission {
  readonly #policy: Policy;
  readonly #overload: Overload;
  readonly #tiers: Config['tiers'];

  constructor(policy: Policy, overload: Overload, tiers: Config['tiers']) {
    this.#policy = policy;
    this.#overload = overload;
    this.#tiers = tiers;
  }

  /**
   * What is counted is for the queue to check, in the step that accepts the job.
   * @returns undefined for whom nothing is limited
   * @throws AppError plan_forbids, overloaded
   */
  check({ tenant, plan, role }: Caller, demand: Demand): NewJob['admission'] {
    if (role === 'internal') return undefined;
    const limits = this.#policy.effectivePlan(tenant, plan);
    const name = this.#policy.read('tenants', tenant).effective.plan ?? plan ?? '(none)';
    if (this.#overload.isTaken('admission') && (limits.weight ?? 1) <= this.#leastWeight()) {
      const seconds = Math.ceil(this.#overload.recoverMs / 1_000);
      throw new AppError(
        'overloaded',
        `The service is overloaded and takes no new jobs of the plan ${name} now. Try again in ${seconds} s.`,
        { retryAfterSeconds: seconds, extraInfo: { policy: 'overload.admission' } },
      );
    }
    const { maxPixels = Infinity, maxBatch = Infinity, nodes, denyNodes = [] } = limits;
    if (demand.pixels > maxPixels) {
      throw forbid(
        `The plan ${name} allows pictures of ${maxPixels} pixels (maxPixels); the prompt asks for ${demand.pixels}.`,
      );
    }
    if (demand.pictures > maxBatch) {
      throw forbid(
        `The plan ${name} allows ${maxBatch} pictures at once (maxBatch); the prompt asks for ${demand.pictures}.`,
      );
    }
    const refused = demand.classes.find(
      (used) => denyNodes.includes(used.name) || nodes?.includes(used.name) === false,
    );
    if (refused !== undefined) {
      throw forbid(
        `The plan ${name} does not allow nodes of the class ${refused.name}; node ${refused.nodeId} is one.`,
      );
    }
    const { maxPending, jobsPerDay, intervalMs } = limits;
    const budget = findJobBudget(limits, demand, this.#tiers, this.#policy);
    if (budget !== undefined) checkWholeBudget(name, budget);
    return { plan: name, maxPending, jobsPerDay, intervalMs, budget };
  }

  /** Of all plans that there are. */
  #leastWeight(): number {
    const plans = this.#policy.listNames('plans').map((name) => this.#policy.read('plans', name));
    return Math.min(...plans.map(({ effective }) => effective.weight ?? 1));
  }
}

/** @throws AppError plan_forbids for what costs more than the whole budget: no day or month will bring it */
function checkWholeBudget(plan: string, { leastMicros, dayMicros, monthMicros }: JobBudget): void {
  for (const [period, micros] of Object.entries({ day: dayMicros, month: monthMicros })) {
    if (micros === undefined || leastMicros <= micros) continue;
    throw forbid(
      `The plan ${plan} allows ${micros / MICROS} a ${period} (budget.${period}); the prompt costs ${leastMicros / MICROS} at least.`,
    );
  }
}

function forbid(message: string): AppError {
  return new AppError('plan_forbids', message);
}
