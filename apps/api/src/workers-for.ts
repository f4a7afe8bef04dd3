import { AppError, judgeJob, type Caller, type Fleet, type JobNeeds } from '@tiercel/contracts';
import { needsText, type ExpectedCost, type Producer, type Verdict } from '@tiercel/queue';
import type { Needs } from './json/examine-prompt.ts';

/** What the plan of a caller says of workers. */
type PlanNeeds = Pick<JobNeeds, 'plan' | 'pool' | 'tiers'>;

interface WorkersForParts {
  /** Workers that are up or may come back. */
  readonly fleet: () => Fleet;
  /** The plan that counts for a caller, and what it says of workers. */
  readonly planOf: (caller: Caller) => PlanNeeds;
  readonly producer: Pick<Producer, 'expectCostMs'>;
}

/** Finds out which workers can run a job, before it is accepted. */
export class WorkersFor {
  readonly #parts: WorkersForParts;

  constructor(parts: WorkersForParts) {
    this.#parts = parts;
  }

  /** @returns undefined when every worker there is takes any job of the caller */
  readPlan(caller: Caller): PlanNeeds | undefined {
    const plan = this.#parts.planOf(caller);
    const { signature } = this.#parts.fleet();
    if (signature === '' && plan.pool === undefined && plan.tiers === undefined) return undefined;
    return plan;
  }

  /**
   * @returns which workers a job is for; and how its cost is learnt, when that decides it
   * @throws AppError no_worker_for_job
   */
  async find(
    plan: PlanNeeds,
    { cost, ...graph }: Needs,
  ): Promise<{ readonly verdict: Verdict; readonly cost: ExpectedCost | undefined }> {
    const fleet = this.#parts.fleet();
    const asksForCost = fleet.profiles.some(({ profile }) => profile.pool.maxCostMs !== undefined);
    const costMs = asksForCost ? await this.#parts.producer.expectCostMs(cost) : undefined;
    const needs: JobNeeds = { ...graph, ...plan, costMs };
    const { kind } = judgeJob(needs, fleet);
    if (kind === ';') throw refuse(needs, fleet);
    return {
      verdict: { kind, needs: needsText(needs), fleet: fleet.signature },
      cost: asksForCost ? cost : undefined,
    };
  }
}

function refuse({ classes }: JobNeeds, { profiles }: Fleet): AppError {
  const has = (name: string): boolean =>
    profiles.some(({ profile }) => profile.classes.includes(name));
  const missing = classes.filter((name) => !has(name));
  const why =
    missing.length > 0
      ? `none has ${missing.join(', ')}`
      : 'none has all of its nodes in a pool that takes such a job of this caller';
  return new AppError('no_worker_for_job', `No worker can run this prompt: ${why}.`);
}
