import type { ExpectedCost } from './producer.ts';
import { another, openQueueParts, result, type QueueParts } from './queue.test-helpers.ts';
import type { TakenJob } from './taken-job.ts';
import type { TenantLimits } from './tenant-limits.ts';

let runs = 0;

interface Busy {
  readonly job: TakenJob;
  readonly startedAt: number;
  readonly endsAt: number;
}

/**
 * Workers that run jobs on the real scripts, in simulated time: the one whose job ends first takes the next one.
 * What a job costs is known to the simulation only; the queue learns it at its end.
 */
export class Simulation {
  readonly parts: QueueParts;
  readonly #workers: (Busy | undefined)[];
  readonly #costs = new Map<string, number>();
  /** Run time that each tenant has been given. */
  readonly served = new Map<string, number>();
  /** In the order in which they were taken. */
  readonly taken: { readonly id: string; readonly tenant: string }[] = [];
  /** Simulated time in ms. */
  now = 0;
  #added = 0;

  constructor(redisUrl: string, workers: number) {
    this.parts = openQueueParts(redisUrl, `simulation${(runs += 1)}`);
    this.#workers = Array.from({ length: workers }, () => undefined);
  }

  async add(
    tenant: string,
    options: { limits: TenantLimits; costMs: number; expected?: ExpectedCost },
  ): Promise<string> {
    const id = `${tenant}-${(this.#added += 1)}`;
    const { limits, costMs, expected } = options;
    this.#costs.set(id, costMs);
    await this.parts.add(id, {
      tenant: { id: tenant, limits },
      ...(expected === undefined ? {} : { cost: expected }),
    });
    return id;
  }

  /** Gives every idle worker a job, then ends the job that ends first. @returns false when there was nothing to do */
  async step(): Promise<boolean> {
    for (const [index, busy] of this.#workers.entries()) {
      if (busy !== undefined) continue;
      const job = await this.parts.take();
      if (job === undefined) break;
      this.#start(index, job);
    }
    const [index, first] = this.#nextEnd();
    if (first === undefined) return false;
    this.now = first.endsAt;
    this.#workers[index] = undefined;
    const { job, startedAt, endsAt } = first;
    this.served.set(job.tenant, (this.served.get(job.tenant) ?? 0) + endsAt - startedAt);
    const { next } = await this.parts.consumer.finish(
      job,
      result(job.id, 'success', endsAt),
      startedAt,
      another(),
    );
    if (next !== undefined) this.#start(index, next);
    return true;
  }

  #start(index: number, job: TakenJob): void {
    const costMs = this.#costs.get(job.promptId) ?? 0;
    this.#workers[index] = { job, startedAt: this.now, endsAt: this.now + costMs };
    this.taken.push({ id: job.promptId, tenant: job.tenant });
  }

  #nextEnd(): [number, Busy | undefined] {
    let found: [number, Busy | undefined] = [-1, undefined];
    for (const [index, busy] of this.#workers.entries()) {
      if (busy !== undefined && (found[1] === undefined || busy.endsAt < found[1].endsAt)) {
        found = [index, busy];
      }
    }
    return found;
  }

  close(): Promise<void> {
    return this.parts.close();
  }
}
