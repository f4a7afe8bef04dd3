import { randomUUID } from 'node:crypto';
import { raceAbort, type Redis, sleep, startInterval } from '@tiercel/runtime';
import { claimFlightScript } from './lua/claim-flight.ts';
import { releaseFlightScript } from './lua/release-flight.ts';
import { renewFlightScript } from './lua/renew-flight.ts';
import { watchFlightScript } from './lua/watch-flight.ts';

/** A leader that has not said so for this long is dead. */
export const LEASE_MS = 15_000;
/** How often a follower looks. */
const POLL_MS = 100;

/** The part of one job among equal ones that run at the same time. */
export type FlightRole =
  | {
      /** This job does the work. */
      readonly kind: 'leader';
      /**
       * The work has ended, stored or not: call it in a `finally`. Never rejects: a lease that could
       * not be given back runs out.
       */
      done(): Promise<void>;
    }
  | {
      /** Another job does the work, or has just done it. */
      readonly kind: 'follower';
      /**
       * Waits for the leader: `stored` when there is a result to be found, `leader_gone` when the leader
       * has ended or died without one (then claim again). Ends within 100 ms of either.
       * @throws Error as soon as the signal is aborted; its cause is the signal's reason
       */
      wait(signal: AbortSignal): Promise<'stored' | 'leader_gone'>;
    };

/** Where the result and the lease of a request are, in Redis. */
export interface FlightKeys {
  readonly entry: string;
  readonly flight: string;
}

/**
 * Of equal jobs on all workers one leads and the others wait. The lease is one key with the leader's
 * token, set if absent, renewed while it works, gone by itself when it does not. Redis's own clock
 * ends it, so workers' clocks do not matter.
 */
export class SingleFlight {
  readonly #redis: Redis;
  readonly #leaseMs: number;

  constructor(options: { redis: Redis; leaseMs: number }) {
    this.#redis = options.redis;
    this.#leaseMs = options.leaseMs;
  }

  async claim({ entry, flight }: FlightKeys): Promise<FlightRole> {
    const token = randomUUID();
    const lease_ms = this.#leaseMs;
    const leader = await claimFlightScript.run(this.#redis, { entry, flight, token, lease_ms });
    if (leader === 'leader') return this.#lead(flight, token);
    return {
      kind: 'follower',
      wait: (signal) => raceAbort(this.#follow({ entry, flight }, leader, signal), signal),
    };
  }

  #lead(flight: string, token: string): FlightRole {
    const renewal = startInterval(() => {
      renewFlightScript.run(this.#redis, { flight, token, lease_ms: this.#leaseMs }).then(
        (kept) => {
          if (!kept) clearInterval(renewal);
        },
        () => undefined, // Redis is away: the next renewal is in time, or the lease is lost
      );
    }, this.#leaseMs / 3);
    return {
      kind: 'leader',
      done: async () => {
        clearInterval(renewal);
        // A job that has its result must not fail for a lease that runs out by itself.
        await releaseFlightScript.run(this.#redis, { flight, token }).catch(() => undefined);
      },
    };
  }

  async #follow(
    { entry, flight }: FlightKeys,
    leader: string,
    signal: AbortSignal,
  ): Promise<'stored' | 'leader_gone'> {
    for (;;) {
      const state = await watchFlightScript.run(this.#redis, { entry, flight, leader });
      if (state !== 'flying') return state;
      await sleep(POLL_MS, signal);
    }
  }
}
