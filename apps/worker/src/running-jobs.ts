import type { PermitId, PromptId } from '@tiercel/contracts';
import type { StopReason } from '@tiercel/routing';
import type { Claim } from './claim.ts';

/** How long a bell that found nobody is remembered. */
const BELL_MEMORY_MS = 60_000;
const MAX_BELLS = 10_000;

/**
 * The claims by which this process runs jobs, and how to stop the runs. The bell and the reply that hands a job
 * to this process travel on different connections: a bell for a job that is not known yet is remembered.
 */
export class RunningJobs {
  readonly #claims = new Set<Claim>();
  readonly #bells = new Map<string, number>();

  get count(): number {
    return this.#claims.size;
  }

  ids(): PromptId[] {
    return [...new Set([...this.#claims].map(({ job }) => job.id))];
  }

  /** The claims under a permit: one, or two while an earlier run is ending. */
  ofPermit(permit: PermitId): Claim[] {
    return [...this.#claims].filter(({ job }) => job.permit === permit);
  }

  /**
   * @returns whether a bell for this id was heard before; the record says whether it was meant for this job or
   *          for an earlier one of the same id
   */
  add(claim: Claim): boolean {
    this.#claims.add(claim);
    const { id } = claim.job;
    const rungAt = this.#bells.get(id);
    this.#bells.delete(id);
    return rungAt !== undefined && Date.now() - rungAt < BELL_MEMORY_MS;
  }

  remove(claim: Claim): void {
    this.#claims.delete(claim);
  }

  ring(id: PromptId): void {
    const claims = [...this.#claims].filter(({ job }) => job.id === id);
    for (const claim of claims) claim.stop('interrupt');
    if (claims.length > 0) return;
    this.#bells.set(id, Date.now());
    // Maps keep insertion order: the first key is the oldest bell.
    const oldest = this.#bells.keys().next();
    if (this.#bells.size > MAX_BELLS && oldest.done !== true) this.#bells.delete(oldest.value);
  }

  stopAll(reason: StopReason): void {
    for (const claim of this.#claims) claim.stop(reason);
  }
}
