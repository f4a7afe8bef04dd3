import type { PermitId } from '@tiercel/contracts';

/** One delivery of a permit, with the lock that came with it. */
export interface Delivery {
  readonly token: string;
}

/**
 * A permit while this process works with it. Deliveries may follow one another under the same work: the last one
 * has the lock, until the lock is lost.
 */
export class PermitLease {
  readonly permit: PermitId;
  #delivery: Delivery | undefined;
  #endWait: () => void = () => undefined;
  #done: Promise<void> = Promise.resolve();
  #noteTaken: (hasJob: boolean) => void = () => undefined;
  /** Whether there was a job for it. */
  readonly hasJob = new Promise<boolean>((resolve) => {
    this.#noteTaken = resolve;
  });
  #foundNothing = false;
  readonly #onDone: () => void;

  constructor(permit: PermitId, onDone: () => void) {
    this.permit = permit;
    this.#onDone = onDone;
  }

  /** The delivery whose lock is to be renewed; undefined when the lock is lost. */
  get delivery(): Delivery | undefined {
    return this.#delivery;
  }

  /** Whether the permit is this process's: without its lock it may be anybody's soon. */
  get isHeld(): boolean {
    return this.#delivery !== undefined;
  }

  isHeldBy(delivery: Delivery): boolean {
    return this.#delivery === delivery;
  }

  /** The work is this. */
  begin(work: Promise<void>): void {
    this.#done = work.finally(() => {
      this.#noteTaken(false);
      this.#onDone();
    });
    // Told by `outlast`; by then nobody may listen any more.
    this.#done.catch(() => undefined);
  }

  /** There is a job for it. */
  noteJob(): void {
    this.#noteTaken(true);
  }

  /** It has looked for a job, and there is none that this worker can run. */
  noteNothing(): void {
    this.#foundNothing = true;
  }

  /** Whether its last look for a job was in vain. */
  get foundNothing(): boolean {
    return this.#foundNothing;
  }

  /** The permit was delivered (again): whoever waited by an earlier delivery waits no longer. */
  moveTo(token: string): Delivery {
    this.#endWait();
    this.#delivery = { token };
    return this.#delivery;
  }

  /** @returns false when another delivery has come since */
  loseLock(delivery: Delivery): boolean {
    if (this.#delivery !== delivery) return false;
    this.#delivery = undefined;
    return true;
  }

  /** BullMQ is to deliver the permit again, here or elsewhere, once its lock has run out. */
  leave(): void {
    this.#delivery = undefined;
  }

  /** Waits for the end of the work, or until the permit is delivered once more. @throws what the work threw */
  async outlast(delivery: Delivery): Promise<void> {
    if (this.#delivery !== undefined && this.#delivery !== delivery) return;
    const superseded = new Promise<void>((resolve) => {
      this.#endWait = resolve;
    });
    await Promise.race([this.#done, superseded]);
  }
}
