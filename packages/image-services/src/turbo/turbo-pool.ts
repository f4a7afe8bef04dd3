import type { AttemptClass } from '@tiercel/contracts';
import { AttemptError, mayTryNextTier, PAUSES_MS } from '@tiercel/routing';
import type { Clock } from '@tiercel/runtime';

interface PoolMember {
  readonly url: string;
  /** Requests of this process that are on their way there. */
  busy: number;
  /** In a row. */
  failures: number;
  restsUntilMs: number;
  /** Which request was its last; of equally busy servers the one that waited longest is next. */
  lastTurn: number;
}

/** How long a server is passed over after its first failure; doubles with each further one. */
const FIRST_REST_MS = 1_000;
const MAX_REST_MS = 60_000;
/** Failures that say for how long the server is of no use: one that is set up wrongly is not asked every minute. */
const LASTING: ReadonlySet<AttemptClass> = new Set(['config', 'quota', 'rate']);

interface Failure {
  readonly member: PoolMember;
  readonly error: AttemptError;
}

/** Several servers of the same kind; what is known of their health comes from using them. */
export class TurboPool {
  readonly #members: readonly PoolMember[];
  readonly #clock: Clock;
  #turns = 0;

  constructor(urls: readonly string[], clock: Clock) {
    this.#clock = clock;
    this.#members = urls.map((url) => ({
      ...{ url, busy: 0, failures: 0, restsUntilMs: 0, lastTurn: 0 },
    }));
  }

  /** Whether a server is left that nothing is known against. */
  hasRested(): boolean {
    return this.#members.some((member) => this.#restOf(member) === 0);
  }

  /**
   * Asks the best server; when that one is in trouble, at once the next, each at most once. Servers that
   * failed lately are asked last, not never: this request has nowhere else to go in this pool.
   * @param signal of the call: when its time runs out, the server that was asked is to blame
   * @throws what the server that is back first threw; a refusal of the request itself at once
   */
  async ask<T>(signal: AbortSignal, call: (url: string) => Promise<T>): Promise<T> {
    const left = new Set(this.#members);
    const failures: Failure[] = [];
    for (let member = this.#choose(left); member !== undefined; member = this.#choose(left)) {
      left.delete(member);
      try {
        return await this.#use(member, signal, call);
      } catch (error) {
        const mayGoOn = error instanceof AttemptError && mayTryNextTier(error.class);
        if (!mayGoOn || signal.aborted) throw error;
        this.#rest(member, error);
        failures.push({ member, error });
      }
    }
    const [first] = failures.sort((a, b) => a.member.restsUntilMs - b.member.restsUntilMs);
    throw first?.error ?? new AttemptError('config', 'the pool has no server');
  }

  async #use<T>(
    member: PoolMember,
    signal: AbortSignal,
    call: (url: string) => Promise<T>,
  ): Promise<T> {
    this.#turns += 1;
    member.lastTurn = this.#turns;
    member.busy += 1;
    // As it happens, not when the call has ended: the signal to its breaker is made in between.
    const judge = (): void => {
      const { reason } = signal as { reason: unknown };
      if (reason instanceof AttemptError) this.#rest(member, reason);
    };
    signal.addEventListener('abort', judge);
    try {
      const result = await call(member.url);
      member.failures = 0;
      member.restsUntilMs = 0;
      return result;
    } finally {
      signal.removeEventListener('abort', judge);
      member.busy -= 1;
    }
  }

  #rest(member: PoolMember, { class: failureClass, retryAtMs }: AttemptError): void {
    const now = this.#clock.now();
    const restMs = Math.min(FIRST_REST_MS * 2 ** member.failures, MAX_REST_MS);
    const lastingMs = LASTING.has(failureClass) ? (PAUSES_MS[failureClass] ?? 0) : 0;
    member.failures += 1;
    member.restsUntilMs = Math.max(now + restMs, retryAtMs ?? now + lastingMs);
  }

  #restOf({ restsUntilMs }: PoolMember): number {
    return Math.max(restsUntilMs - this.#clock.now(), 0);
  }

  #choose(members: ReadonlySet<PoolMember>): PoolMember | undefined {
    return [...members].sort(
      (a, b) => this.#restOf(a) - this.#restOf(b) || a.busy - b.busy || a.lastTurn - b.lastTurn,
    )[0];
  }
}
