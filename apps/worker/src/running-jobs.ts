import type { JobId, PermitId } from '@tiercel/contracts';
import type { StopReason } from '@tiercel/routing';
import type { Claim } from './claim.ts';

/** How long an interrupt that found nobody is remembered. */
const EARLY_INTERRUPT_MS = 60_000;
const MAX_EARLY_INTERRUPTS = 10_000;

/**
 * The claims by which this process runs jobs, and how to stop the runs. An interrupt and the reply that hands a
 * job to this process travel on different connections: an interrupt for a job that is not known yet is remembered.
 */
export class RunningJobs {
  readonly #claims = new Set<Claim>();
  readonly #earlyInterrupts = new Map<string, number>();

  get count(): number {
    return this.#claims.size;
  }

  ids(): JobId[] {
    return [...new Set([...this.#claims].map(({ job }) => job.id))];
  }

  /** The claims under a permit: one, or two while an earlier run is ending. */
  ofPermit(permit: PermitId): Claim[] {
    return [...this.#claims].filter(({ job }) => job.permit === permit);
  }

  /**
   * @returns whether an interrupt for this id was received before; the record says whether it was meant for this job or
   *          for an earlier one of the same id
   */
  add(claim: Claim): boolean {
    this.#claims.add(claim);
    const { id } = claim.job;
    const interruptedAt = this.#earlyInterrupts.get(id);
    this.#earlyInterrupts.delete(id);
    return interruptedAt !== undefined && Date.now() - interruptedAt < EARLY_INTERRUPT_MS;
  }

  remove(claim: Claim): void {
    this.#claims.delete(claim);
  }

  interrupt(id: JobId): void {
    const claims = [...this.#claims].filter(({ job }) => job.id === id);
    for (const claim of claims) claim.stop('interrupt');
    if (claims.length > 0) return;
    this.#earlyInterrupts.set(id, Date.now());
    // Maps keep insertion order: the first key is the oldest interrupt.
    const oldest = this.#earlyInterrupts.keys().next();
    if (this.#earlyInterrupts.size > MAX_EARLY_INTERRUPTS && oldest.done !== true)
      this.#earlyInterrupts.delete(oldest.value);
  }

  ofClaim(claimId: string): Claim | undefined {
    return [...this.#claims].find(({ job }) => job.claimId === claimId);
  }

  stopAll(reason: StopReason): void {
    for (const claim of this.#claims) claim.stop(reason);
  }
}
