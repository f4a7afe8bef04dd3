import type { ControlMessage } from '@tiercel/events';
import type { Consumer } from '@tiercel/queue';
import { startInterval, type Logger } from '@tiercel/runtime';
import type { Claim } from './claim.ts';
import type { RunningJobs } from './running-jobs.ts';

const INTERVAL_MS = 500;

/**
 * Lets running jobs make room for those of plans that preempt: each worker asks which are to, and tells the workers
 * that run them. Any number of workers may ask: a job that was chosen is marked, and told of until it has gone back.
 */
export class Preemption {
  readonly #tell: (message: ControlMessage) => Promise<unknown>;
  readonly #consumer: Pick<Consumer, 'choosePreempted' | 'answerPreemption'>;
  readonly #running: Pick<RunningJobs, 'ofClaim'>;
  readonly #isPaused: () => boolean;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(dependencies: {
    /** Sends an order to all workers. */
    tell: (message: ControlMessage) => Promise<unknown>;
    consumer: Pick<Consumer, 'choosePreempted' | 'answerPreemption'>;
    running: Pick<RunningJobs, 'ofClaim'>;
    /** Whoever is paused would not take the job for which room is made. */
    isPaused: () => boolean;
    log: Logger;
  }) {
    this.#tell = dependencies.tell;
    this.#consumer = dependencies.consumer;
    this.#running = dependencies.running;
    this.#isPaused = dependencies.isPaused;
    this.#log = dependencies.log;
  }

  start(): void {
    this.#timer = startInterval(() => {
      this.#look().catch((error: unknown) => {
        this.#log.debug({ err: error }, 'who is to make room could not be found out');
      });
    }, INTERVAL_MS);
  }

  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#timer);
  }

  /**
   * A run was chosen to make room. When this process has it, it is stopped; unless that would cost more than anybody
   * could know who chose it, or nothing is to be started here afterwards.
   */
  async answer(claimId: string): Promise<void> {
    const claim = this.#running.ofClaim(claimId);
    if (claim === undefined || claim.signal.aborted) return;
    const goesOn = this.#mustGoOn(claim);
    const isAsked = await this.#consumer.answerPreemption(
      claim.job,
      goesOn ? 'goes-on' : 'goes-back',
    );
    if (!isAsked || goesOn) return;
    // It may have begun to cost something meanwhile.
    if (this.#mustGoOn(claim)) await this.#consumer.answerPreemption(claim.job, 'goes-on');
    else claim.stop('preempted');
  }

  #mustGoOn(claim: Claim): boolean {
    return claim.isKept || this.#isPaused() || this.#isStopped;
  }

  async #look(): Promise<void> {
    if (this.#isPaused()) return;
    for (const { claim } of await this.#consumer.choosePreempted()) {
      await this.#tell({ type: 'preempt', claim });
    }
  }
}
