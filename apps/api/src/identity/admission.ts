import type { PolicyStore } from '@tiercel/accounts';
import { AppError, type Caller } from '@tiercel/contracts';
import type { Demand } from '@tiercel/graph';
import type { NewJob } from '@tiercel/queue';

/** Which prompts a caller may post, by his plan. */
export class Admission {
  readonly #policy: Pick<PolicyStore, 'effectivePlan' | 'read'>;

  constructor(policy: Pick<PolicyStore, 'effectivePlan' | 'read'>) {
    this.#policy = policy;
  }

  /**
   * What is counted is for the queue to check, in the step that accepts the job.
   * @returns undefined for whom nothing is limited
   * @throws AppError plan_forbids
   */
  check({ tenant, plan, role }: Caller, demand: Demand): NewJob['admission'] {
    if (role === 'internal') return undefined;
    const limits = this.#policy.effectivePlan(tenant, plan);
    const name = this.#policy.read('tenants', tenant).effective.plan ?? plan ?? '(none)';
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
    return { plan: name, maxPending, jobsPerDay, intervalMs };
  }
}

function forbid(message: string): AppError {
  return new AppError('plan_forbids', message);
}
