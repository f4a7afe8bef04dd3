import type { Clock } from '@tiercel/runtime';
import { AttemptError, mayTryNextTier } from '../failures.ts';

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

  /**
   * Asks the best server; when that one is in trouble, at once the next, each at most once. Servers that
   * failed lately are asked last, not never: this request has nowhere else to go in this pool.
   * @throws what the last one asked threw; a refusal of the request itself and a spent time limit at once
   */
  async ask<T>(call: (url: string) => Promise<T>): Promise<T> {
    const left = new Set(this.#members);
    let failure: unknown = new AttemptError('config', 'the pool has no server');
    for (let member = this.#choose(left); member !== undefined; member = this.#choose(left)) {
      left.delete(member);
      try {
        return await this.#use(member, call);
      } catch (error) {
        if (!(error instanceof AttemptError) || !mayTryNextTier(error.class)) throw error;
        this.#rest(member, error);
        if (error.class === 'timeout') throw error;
        failure = error;
      }
    }
    throw failure;
  }

  async #use<T>(member: PoolMember, call: (url: string) => Promise<T>): Promise<T> {
    this.#turns += 1;
    member.lastTurn = this.#turns;
    member.busy += 1;
    try {
      const result = await call(member.url);
      member.failures = 0;
      member.restsUntilMs = 0;
      return result;
    } finally {
      member.busy -= 1;
    }
  }

  #rest(member: PoolMember, { retryAtMs }: AttemptError): void {
    const restMs = Math.min(FIRST_REST_MS * 2 ** member.failures, MAX_REST_MS);
    member.failures += 1;
    member.restsUntilMs = Math.max(this.#clock.now() + restMs, retryAtMs ?? 0);
  }

  #choose(members: ReadonlySet<PoolMember>): PoolMember | undefined {
    const now = this.#clock.now();
    const restOf = (member: PoolMember): number => Math.max(member.restsUntilMs - now, 0);
    return [...members].sort(
      (a, b) => restOf(a) - restOf(b) || a.busy - b.busy || a.lastTurn - b.lastTurn,
    )[0];
  }
}
