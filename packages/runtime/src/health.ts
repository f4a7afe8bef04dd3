import { inTime, LATE } from './waiting.ts';

/** What a process needs in order to serve: the reason why it cannot now, or undefined. */
export type HealthCheck = () => Promise<string | undefined> | string | undefined;

export interface HealthReport {
  readonly ready: boolean;
  /** By the name of the check: `ok`, or what is wrong. */
  readonly checks: Readonly<Record<string, string>>;
}

/** A check that hangs (a network file system) must not hang who asks. */
const TIMEOUT_MS = 3_000;
/** Whoever asks within this gets the last answer: checks write to disks and databases. */
const FRESH_MS = 100;

/** Runs a process's checks, all at once, for whoever asks whether it is ready. */
export class Health {
  readonly #checks: Readonly<Record<string, HealthCheck>>;
  #last: { readonly report: Promise<HealthReport>; readonly askedAt: number } | undefined;

  constructor(checks: Readonly<Record<string, HealthCheck>>) {
    this.#checks = checks;
  }

  read(): Promise<HealthReport> {
    const now = performance.now();
    if (this.#last === undefined || now - this.#last.askedAt > FRESH_MS) {
      this.#last = { report: this.#ask(), askedAt: now };
    }
    return this.#last.report;
  }

  /** Makes the next one who asks get a new answer. */
  forget(): void {
    this.#last = undefined;
  }

  async #ask(): Promise<HealthReport> {
    const entries = await Promise.all(
      Object.entries(this.#checks).map(
        async ([name, check]) => [name, (await askInTime(check)) ?? 'ok'] as const,
      ),
    );
    return {
      ready: entries.every(([, answer]) => answer === 'ok'),
      checks: Object.fromEntries(entries),
    };
  }
}

async function askInTime(check: HealthCheck): Promise<string | undefined> {
  const answer = await inTime(Promise.resolve(check()), TIMEOUT_MS);
  return answer === LATE ? 'no answer in time' : answer;
}
