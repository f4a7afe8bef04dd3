import type { AttemptContext, AttemptRequest } from '../backend.ts';
import { RoutedJob } from './routed-job.ts';
import type { RoutedResult, RouterParts } from './router-parts.ts';

/** Runs jobs on the best tier that can serve them now. */
export class TierRouter {
  readonly #parts: RouterParts;

  constructor(parts: RouterParts) {
    this.#parts = parts;
  }

  /** Whether a tier is able to do the graph at all, whatever state it is in for now. */
  canRun(request: AttemptRequest): boolean {
    const { allowedTiers } = request;
    return this.#parts.tiers.some(
      ({ backend, closed }) =>
        allowedTiers?.includes(backend.name) !== false &&
        closed?.isForNow !== false &&
        backend.supports(request).ok,
    );
  }

  /**
   * @throws RoutingFailed whose cause is a JobError, AttemptStopped, or an error of ours
   */
  run(request: AttemptRequest, context: AttemptContext): Promise<RoutedResult> {
    return new RoutedJob(this.#parts, request, context).run();
  }
}
