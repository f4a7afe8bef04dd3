import type { ClaimId } from '@tiercel/contracts';
import { createClaimId, type TakenJob } from '@tiercel/queue';
import { Stopped, type StopReason } from '@tiercel/routing';

/**
 * A worker's right to run a job now, as long as nobody else has taken the job: permit, job and attempt. What
 * belongs to the run hangs on the claim, not on the job: a process that was taken for dead may have two runs of
 * one job for a moment.
 */
export class Claim {
  readonly job: TakenJob;
  /** The claim on the job that the permit gets next, the same however often the end of this one is written. */
  readonly nextId: ClaimId = createClaimId();
  readonly #run = new AbortController();
  readonly #end = new AbortController();
  #isPaid = (): boolean => false;

  constructor(job: TakenJob) {
    this.job = job;
  }

  /** Aborted when the run is to stop, by a Stopped that says why. */
  get signal(): AbortSignal {
    return this.#run.signal;
  }

  /** Aborted when the job's end is not this run's to write any more: somebody else has the job, or will have. */
  get surrendered(): AbortSignal {
    return this.#end.signal;
  }

  /** Its run is not to begin anew, to make room for another job, while this is so. */
  keepWhile(isPaid: () => boolean): void {
    this.#isPaid = isPaid;
  }

  /**
   * Whether a run of the job that begins anew would cost more than this one has taken: it has been paid for, or goes on
   * with what an earlier run has begun.
   */
  get isKept(): boolean {
    return this.job.resumeToken !== undefined || this.#isPaid();
  }

  stop(reason: StopReason): void {
    const stopped = new Stopped(reason);
    this.#run.abort(stopped);
    if (reason === 'claim_lost' || reason === 'shutdown') this.#end.abort(stopped);
  }
}
