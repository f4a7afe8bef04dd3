import type { FaultSwitch } from './faults.ts';
import type { FakeVendor, WireRequest } from './wire.ts';

const MAX_RECORDED = 2000;

export interface ServiceCounts {
  /** All but those to the control route. */
  readonly requests: number;
  /** Requests for pictures; so are the next three. */
  readonly pictures: number;
  /** Come and not answered yet: what waits for automatic1111's lock, too. */
  readonly running: number;
  /** The most that ran at once. */
  readonly maxRunning: number;
  /** Whose client went before the answer. */
  readonly aborted: number;
}

/** What a service was asked. */
export class ServiceLog {
  readonly #requests: WireRequest[] = [];
  #counts: ServiceCounts = { requests: 0, pictures: 0, running: 0, maxRunning: 0, aborted: 0 };

  get requests(): readonly WireRequest[] {
    return [...this.#requests];
  }

  get counts(): ServiceCounts {
    return this.#counts;
  }

  record(request: WireRequest): void {
    this.#requests.push(request);
    if (this.#requests.length > MAX_RECORDED) this.#requests.shift();
    this.#counts = { ...this.#counts, requests: this.#counts.requests + 1 };
  }

  /** A request for pictures has come. */
  begin(): void {
    const { pictures, running, maxRunning } = this.#counts;
    const now = running + 1;
    this.#counts = {
      ...this.#counts,
      ...{ pictures: pictures + 1, running: now, maxRunning: Math.max(maxRunning, now) },
    };
  }

  /** It has been answered, or given up by the client. */
  end({ isAborted }: { readonly isAborted: boolean }): void {
    const { running, aborted } = this.#counts;
    this.#counts = {
      ...this.#counts,
      ...{ running: running - 1, aborted: aborted + (isAborted ? 1 : 0) },
    };
  }
}

/** What is behind a service's port. */
export interface ServiceWorld {
  readonly vendor: FakeVendor;
  readonly faults: FaultSwitch;
  readonly log: ServiceLog;
  latencyMs: number;
}
