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

  stop(reason: StopReason): void {
    const stopped = new Stopped(reason);
    this.#run.abort(stopped);
    if (reason === 'claim_lost' || reason === 'shutdown') this.#end.abort(stopped);
  }
}
