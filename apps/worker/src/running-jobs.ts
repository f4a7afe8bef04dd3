import { Stopped, type StopReason } from '@tiercel/backends';
import type { PromptId } from '@tiercel/contracts';

/** How long a bell that found nobody is remembered. */
const BELL_MEMORY_MS = 60_000;
const MAX_BELLS = 10_000;

/**
 * The jobs this process runs, and how to stop them. The bell and the reply that hands a job to this
 * process travel on different connections: a bell for a job that is not known yet is remembered.
 */
export class RunningJobs {
  readonly #controllers = new Map<PromptId, AbortController>();
  readonly #bells = new Map<string, number>();

  get count(): number {
    return this.#controllers.size;
  }

  ids(): PromptId[] {
    return [...this.#controllers.keys()];
  }

  /**
   * `wasRung`: a bell for this id was heard before; its record says whether it was meant for this job or
   * for an earlier one of the same id.
   */
  add(id: PromptId): { controller: AbortController; wasRung: boolean } {
    const controller = new AbortController();
    this.#controllers.set(id, controller);
    const rungAt = this.#bells.get(id);
    this.#bells.delete(id);
    return { controller, wasRung: rungAt !== undefined && Date.now() - rungAt < BELL_MEMORY_MS };
  }

  remove(id: PromptId): void {
    this.#controllers.delete(id);
  }

  ring(id: PromptId): void {
    const controller = this.#controllers.get(id);
    if (controller !== undefined) {
      controller.abort(new Stopped('interrupt'));
      return;
    }
    this.#bells.set(id, Date.now());
    // Maps keep insertion order: the first key is the oldest bell.
    const oldest = this.#bells.keys().next();
    if (this.#bells.size > MAX_BELLS && oldest.done !== true) this.#bells.delete(oldest.value);
  }

  stopAll(reason: StopReason): void {
    for (const controller of this.#controllers.values()) controller.abort(new Stopped(reason));
  }
}
