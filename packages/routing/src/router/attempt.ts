import { randomUUID } from 'node:crypto';
import type { AttemptReport } from '@tiercel/contracts';
import { type Clock, type SecretMask, startTimer } from '@tiercel/runtime';
import type { AttemptRequest, AttemptResult, Backend, TierAttemptContext } from '../backend.ts';
import { AttemptError, AttemptStopped, JobError, mayTryNextTier, Stopped } from '../failures.ts';
import { runRedacted } from './redacted-run.ts';
import { toBreakerSignal, type BreakerSignal } from './breaker-signal.ts';
import type { AttemptAccount, AttemptOutcome } from '../spending/attempt-account.ts';
import type { BegunAttempt } from './tier-state-store.ts';

/** A configured tier: its backend and the rules it is used by. */
export interface Tier {
  readonly backend: Backend;
  readonly quality: string | undefined;
  /** Attempts at once over all workers; undefined for no limit. */
  readonly concurrency: number | undefined;
  /** Why it begins no attempts, when an administrator says so: until it is told otherwise, or as if it were not there. */
  readonly closed?: { readonly reason: string; readonly isForNow: boolean } | undefined;
  /** Whether a second attempt may start elsewhere when this one takes longer than usual. */
  readonly hedge: boolean;
}

export type Outcome =
  | { readonly kind: 'done'; readonly result: AttemptResult }
  /** `final`: no other tier is to be asked. */
  | { readonly kind: 'failed'; readonly error: unknown; readonly final: boolean }
  /** Another attempt on the same job was faster. */
  | { readonly kind: 'lost' };

export interface AttemptEnd {
  readonly tier: Tier;
  readonly outcome: Outcome;
  readonly report: AttemptReport;
}

/** The abort reason of an attempt that came second. */
const OUTRUN = new Error('another tier was faster');

/** One attempt on one tier, under way from its creation. `ended` never rejects. */
export class Attempt {
  readonly id = randomUUID();
  readonly tier: Tier;
  readonly ended: Promise<AttemptEnd>;
  readonly #controller = new AbortController();
  readonly #clock: Clock;

  constructor(options: {
    tier: Tier;
    begun: BegunAttempt | undefined;
    /** Undefined: nobody counts what it uses. */
    account: AttemptAccount | undefined;
    request: AttemptRequest;
    context: Omit<TierAttemptContext, 'mask'>;
    /** Undefined when the job ends before the tier's limit. */
    limitMs: number | undefined;
    clock: Clock;
    /** Takes the secrets of the configuration out of errors. */
    configMask: SecretMask;
  }) {
    this.tier = options.tier;
    this.#clock = options.clock;
    this.ended = this.#run(options);
  }

  /** Ends it: another attempt has won. */
  outrun(): void {
    this.#controller.abort(OUTRUN);
  }

  async #run(options: {
    begun: BegunAttempt | undefined;
    account: AttemptAccount | undefined;
    request: AttemptRequest;
    context: Omit<TierAttemptContext, 'mask'>;
    limitMs: number | undefined;
    configMask: SecretMask;
  }): Promise<AttemptEnd> {
    const { begun, account, request, context, limitMs, configMask } = options;
    const { backend } = this.tier;
    const started = this.#clock.now();
    const limit =
      limitMs === undefined
        ? undefined
        : startTimer(() => {
            this.#controller.abort(new AttemptError('timeout', `no result within ${limitMs} ms`));
          }, limitMs);
    account?.watch(() => {
      const message = 'it has taken as long as the budget of its tenant allows';
      this.#controller.abort(new AttemptError('budget', message));
    });
    const stop = () => {
      this.#controller.abort(context.signal.reason);
    };
    if (context.signal.aborted) stop();
    context.signal.addEventListener('abort', stop);
    const { signal } = this.#controller;
    let outcome: Outcome;
    try {
      const result = await runRedacted(backend, request, { ...context, signal }, configMask);
      context.claim();
      outcome = { kind: 'done', result };
    } catch (error) {
      const { reason } = signal as { reason: unknown };
      if (reason === OUTRUN) outcome = { kind: 'lost' };
      else outcome = toFailure(reason instanceof AttemptError ? reason : error);
    } finally {
      clearTimeout(limit);
      context.signal.removeEventListener('abort', stop);
    }
    const ms = this.#clock.now() - started;
    account?.end(toUse(outcome, signal.aborted), ms);
    const reported = begun
      ?.end(this.#toBreakerSignal(outcome, ms, context.signal))
      .catch(() => undefined);
    // What a failure taught is in the store before the next tier is chosen. Nobody waits for a success: the
    // commands of a connection keep their order, so it is there before the job's end is.
    if (outcome.kind !== 'done') await reported;
    const base = { tier: backend.name, driver: backend.driver };
    return { tier: this.tier, outcome, report: { ...base, ...describe(outcome), ms } };
  }

  #toBreakerSignal(outcome: Outcome, ms: number, jobSignal: AbortSignal): BreakerSignal {
    if (outcome.kind === 'done') return { kind: 'good', ms };
    if (outcome.kind === 'lost') return { kind: 'neutral' };
    const { error } = outcome;
    // The server that failed rests; the tier goes on with the others.
    if (this.tier.backend.hasOtherServer?.() === true) return { kind: 'neutral' };
    if (error instanceof AttemptError) return toBreakerSignal(error, this.#clock.now());
    const { reason } = jobSignal as { reason: unknown };
    if (reason instanceof Stopped && reason.reason === 'timeout') {
      return { kind: 'count', reason: 'timeout: the job ran out of time on it' };
    }
    return { kind: 'neutral' };
  }
}

function toFailure(error: unknown): Outcome {
  const mayGoOn = error instanceof AttemptError && mayTryNextTier(error.class);
  return { kind: 'failed', error, final: !mayGoOn };
}

function toUse({ kind }: Outcome, isAborted: boolean): AttemptOutcome {
  if (kind === 'done') return kind;
  return kind === 'lost' || isAborted ? 'abandoned' : 'failed';
}

function describe(outcome: Outcome): { class: string; message?: string } {
  if (outcome.kind === 'done') return { class: 'ok' };
  if (outcome.kind === 'lost') return { class: 'outrun' };
  const { error } = outcome;
  if (error instanceof AttemptError) return { class: error.class, message: error.message };
  if (error instanceof JobError) return { class: error.code };
  return { class: error instanceof AttemptStopped ? 'stopped' : 'internal' };
}
