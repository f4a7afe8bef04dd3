import { randomUUID } from 'node:crypto';
import { raceAbort } from '@tiercel/nodes';
import { LuaScript, sleep, startInterval, type Redis } from '@tiercel/runtime';

/** A leader that has not said so for this long is dead. */
export const LEASE_MS = 15_000;
/** How often a follower looks. */
const POLL_MS = 100;

/** Answers what a follower waits for: one command, so that entry and lease are seen together. */
const WATCH_LUA = `
if redis.call('EXISTS', ARGV[2]) == 1 then return 'stored' end
local leader = redis.call('GET', ARGV[3])
`;

/**
 * A claim may arrive twice: a connection that broke before the answer sends it again.
 *
 * ARGV: prefix, entry, flight, token, lease ms. Returns: 'stored', 'leader', or the leader's token
 */
const claimScript = new LuaScript(`${WATCH_LUA}
if leader and leader ~= ARGV[4] then return leader end
redis.call('SET', ARGV[3], ARGV[4], 'PX', ARGV[5])
return 'leader'
`);

/** ARGV: prefix, entry, flight, token. Returns: 'stored', 'flying', 'leader_gone' */
const watchScript = new LuaScript(`${WATCH_LUA}
return leader == ARGV[4] and 'flying' or 'leader_gone'
`);

/** ARGV: prefix, flight, token, lease ms. Returns: 1, or 0 when the lease is another's */
const renewScript = new LuaScript(`
if redis.call('GET', ARGV[2]) ~= ARGV[3] then return 0 end
return redis.call('PEXPIRE', ARGV[2], ARGV[4])
`);

/** ARGV: prefix, flight, token */
const releaseScript = new LuaScript(`
if redis.call('GET', ARGV[2]) == ARGV[3] then redis.call('DEL', ARGV[2]) end
`);

/** The part of one job among equal ones that run at the same time. */
export type Flight =
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
export class Flights {
  readonly #redis: Redis;
  readonly #prefix: string;
  readonly #leaseMs: number;

  constructor(options: { redis: Redis; prefix: string; leaseMs: number }) {
    this.#redis = options.redis;
    this.#prefix = options.prefix;
    this.#leaseMs = options.leaseMs;
  }

  async claim({ entry, flight }: FlightKeys): Promise<Flight> {
    const token = randomUUID();
    const answer = await claimScript.run(this.#redis, this.#prefix, [
      ...[entry, flight, token],
      this.#leaseMs,
    ]);
    if (answer === 'leader') return this.#lead(flight, token);
    const leader = String(answer);
    return {
      kind: 'follower',
      wait: (signal) => raceAbort(this.#follow({ entry, flight }, leader, signal), signal),
    };
  }

  #lead(flight: string, token: string): Flight {
    const renewal = startInterval(() => {
      renewScript.run(this.#redis, this.#prefix, [flight, token, this.#leaseMs]).then(
        (kept) => {
          if (kept === 0) clearInterval(renewal);
        },
        () => undefined, // Redis is away: the next renewal is in time, or the lease is lost
      );
    }, this.#leaseMs / 3);
    return {
      kind: 'leader',
      done: async () => {
        clearInterval(renewal);
        // A job that has its result must not fail for a lease that runs out by itself.
        await releaseScript.run(this.#redis, this.#prefix, [flight, token]).catch(() => undefined);
      },
    };
  }

  async #follow(
    { entry, flight }: FlightKeys,
    leader: string,
    signal: AbortSignal,
  ): Promise<'stored' | 'leader_gone'> {
    for (;;) {
      const state = await watchScript.run(this.#redis, this.#prefix, [entry, flight, leader]);
      if (state === 'stored' || state === 'leader_gone') return state;
      await sleep(POLL_MS, signal);
    }
  }
}
