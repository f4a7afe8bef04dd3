import type { AttemptReport, ServiceReport } from '@tiercel/contracts';
import type { Clock } from '@tiercel/runtime';
import type { AttemptContext, AttemptRequest, AttemptResult, Backend, Support } from './backend.ts';
import { AttemptError, JobError, mayTryNextTier, serviceError } from './failures.ts';

/** What is known of a tier at the moment of choosing. */
export interface TierState {
  readonly name: string;
  readonly support: Support;
}

export interface TierChoice {
  /** Tiers to try, best first. */
  readonly order: readonly string[];
  readonly skipped: readonly { readonly tier: string; readonly reason: string }[];
}

/**
 * Which tiers to try, in which order. Pure: the same state gives the same choice and reasons.
 * Config order is the preference; a tier that cannot do the graph is skipped.
 */
export function chooseTiers(tiers: readonly TierState[]): TierChoice {
  const order: string[] = [];
  const skipped: { tier: string; reason: string }[] = [];
  for (const { name, support } of tiers) {
    if (support.ok) order.push(name);
    else skipped.push({ tier: name, reason: support.reason });
  }
  return { order, skipped };
}

export interface RoutedResult {
  readonly result: AttemptResult;
  readonly report: ServiceReport;
}

/** An attempt failed for good; `report` tells of all attempts made. */
export class RoutingFailed extends Error {
  readonly report: ServiceReport;

  constructor(cause: unknown, report: ServiceReport) {
    super('no tier served the job', { cause });
    this.name = 'RoutingFailed';
    this.report = report;
  }
}

/** Runs a job on the first tier that can serve it. */
export class TierRouter {
  readonly #backends: readonly Backend[];
  readonly #clock: Clock;

  constructor(backends: readonly Backend[], clock: Clock) {
    this.#backends = backends;
    this.#clock = clock;
  }

  /**
   * @throws RoutingFailed whose cause is a JobError, AttemptStopped, or an error of ours
   */
  async run(request: AttemptRequest, context: AttemptContext): Promise<RoutedResult> {
    const states = this.#backends.map((backend) => ({
      name: backend.name,
      support: backend.supports(request),
    }));
    const choice = chooseTiers(states);
    const attempts: AttemptReport[] = [];
    let last: unknown;
    for (const [index, name] of choice.order.entries()) {
      const backend = this.#backends.find((candidate) => candidate.name === name);
      if (backend === undefined) continue;
      const started = this.#clock.now();
      const attempt = { tier: name, driver: backend.driver };
      try {
        const result = await runWithin(backend, request, context);
        attempts.push({ ...attempt, outcome: 'ok', ms: this.#clock.now() - started });
        return { result, report: reportOf(backend, result, attempts, index > 0) };
      } catch (error) {
        last = error;
        const ms = this.#clock.now() - started;
        if (!(error instanceof AttemptError)) {
          attempts.push({
            ...attempt,
            outcome: error instanceof JobError ? error.code : 'stopped',
            ms,
          });
          break;
        }
        attempts.push({ ...attempt, outcome: error.class, ms, message: error.message });
        last = serviceError('no_tier', `${name}: ${error.message}\n`, { cause: error });
        if (!mayTryNextTier(error.class)) break;
      }
    }
    throw new RoutingFailed(last ?? noTier(choice), {
      served_by: null,
      attempts,
      degraded: false,
      dropped_params: [],
    });
  }
}

/** One attempt within its own limit; the job's limit and interrupts reach it too. */
async function runWithin(
  backend: Backend,
  request: AttemptRequest,
  context: AttemptContext,
): Promise<AttemptResult> {
  const attempt = new AbortController();
  const stop = () => {
    attempt.abort(context.signal.reason);
  };
  if (context.signal.aborted) stop();
  context.signal.addEventListener('abort', stop);
  const late = new AttemptError('timeout', `no result within ${backend.timeoutMs} ms`);
  const limit = setTimeout(() => {
    attempt.abort(late);
  }, backend.timeoutMs);
  try {
    return await backend.run(request, { ...context, signal: attempt.signal });
  } catch (error) {
    throw attempt.signal.reason === late ? late : error;
  } finally {
    clearTimeout(limit);
    context.signal.removeEventListener('abort', stop);
  }
}

function noTier(choice: TierChoice): JobError {
  const reasons = choice.skipped.map(({ tier, reason }) => `${tier}: ${reason}`).join('; ');
  return serviceError('no_tier', `No tier can run this prompt: ${reasons}\n`);
}

function reportOf(
  backend: Backend,
  result: AttemptResult,
  attempts: readonly AttemptReport[],
  degraded: boolean,
): ServiceReport {
  return {
    served_by: { tier: backend.name, driver: backend.driver, model: result.model },
    attempts,
    degraded,
    dropped_params: result.droppedParams,
    ...(result.sketch ? { sketch: true } : {}),
  };
}
