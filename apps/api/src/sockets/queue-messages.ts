import { clientKeyOf, frameText } from '@tiercel/contracts';
import type { Estimate, Reader } from '@tiercel/queue';
import { startInterval, type Logger } from '@tiercel/runtime';
import type { JobEstimates } from '../job-estimates.ts';
import type { SocketSession } from './socket-session.ts';

/** A client's jobs are looked up so often at most. */
const INTERVAL_MS = 1_000;
/** What one look may cost, in clients and in jobs; with more than that the others come next. */
const CLIENTS_A_LOOK = 256;
const JOBS_A_LOOK = 1_000;
const CLIENTS_AT_ONCE = 16;
/** Of a client that has more jobs waiting, the last ones are told of when they have come nearer. */
const MAX_JOBS = 100;
/** An expected time is the same as before while it has moved by less, and by less than this part of the wait. */
const SAME_MS = 1_000;
const SAME_PART = 0.05;

interface Client {
  readonly tenant: string;
  /** As keyText writes it. */
  readonly id: string;
}

interface Watched extends Client {
  /** What each of its sockets was sent last. */
  readonly sent: Map<SocketSession, readonly JobPlace[]>;
}

/** A waiting job as `tiercel_queue` tells of it; times in ms. */
interface JobPlace {
  readonly prompt_id: string;
  readonly position: number;
  readonly expected_start_time: number | undefined;
  readonly expected_end_time: number | undefined;
}

type FirstJobs = ReturnType<Reader['listWaiting']>;

/**
 * Tells sockets that announced `supports_tiercel_queue` where the waiting jobs of their client stand, when that has
 * changed. It asks only while there is such a socket.
 */
export class QueueMessages {
  readonly #reader: Reader;
  readonly #estimates: Pick<JobEstimates, 'of'>;
  readonly #log: Logger;
  readonly #clients = new Map<string, Watched>();
  #timer: NodeJS.Timeout | undefined;
  #isTelling = false;

  constructor(dependencies: { reader: Reader; estimates: Pick<JobEstimates, 'of'>; log: Logger }) {
    this.#reader = dependencies.reader;
    this.#estimates = dependencies.estimates;
    this.#log = dependencies.log;
  }

  /** @returns how to stop telling it */
  add(session: SocketSession, { tenant, id }: Client): () => void {
    const key = clientKeyOf(tenant, id);
    const client = this.#clients.get(key) ?? { tenant, id, sent: new Map() };
    this.#clients.set(key, client);
    client.sent.set(session, []);
    this.#timer ??= startInterval(() => void this.#tell(), INTERVAL_MS);
    return () => {
      client.sent.delete(session);
      if (client.sent.size === 0) this.#clients.delete(key);
      if (this.#clients.size === 0) this.stop();
    };
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Never throws: what could not be read now is read at the next look. */
  async #tell(): Promise<void> {
    if (this.#isTelling) return;
    this.#isTelling = true;
    try {
      const turn = [...this.#clients].slice(0, CLIENTS_A_LOOK);
      const firstJobs = new Map<string, FirstJobs>();
      let jobsLeft = JOBS_A_LOOK;
      while (turn.length > 0 && jobsLeft > 0) {
        const some = turn.splice(0, CLIENTS_AT_ONCE);
        const counts = await Promise.all(
          some.map(([key, client]) => {
            this.#putLast(key, client);
            return this.#tellClient(client, firstJobs);
          }),
        );
        for (const count of counts) jobsLeft -= count;
      }
    } catch (error) {
      this.#log.debug({ err: error }, 'places in the queue could not be read');
    } finally {
      this.#isTelling = false;
    }
  }

  /** Maps keep insertion order. */
  #putLast(key: string, client: Watched): void {
    if (this.#clients.delete(key)) this.#clients.set(key, client);
  }

  /** @returns how many jobs it has looked up */
  async #tellClient(client: Watched, firstJobs: Map<string, FirstJobs>): Promise<number> {
    const { tenant, sent } = client;
    const ids = await this.#listWaiting(client, firstJobs);
    const waiting = ids.map((id) => ({ id, state: 'pending' as const }));
    const estimates = await this.#estimates.of(waiting, tenant);
    const jobs = ids.flatMap((id) => toPlace(id, estimates.get(id)) ?? []);
    let frame: string | undefined;
    for (const [session, before] of sent) {
      if (isSame(before, jobs)) continue;
      frame ??= frameText('tiercel_queue', { jobs }, JSON.stringify);
      if (session.sendProgress(frame)) sent.set(session, jobs);
    }
    return ids.length;
  }

  async #listWaiting({ tenant, id }: Client, firstJobs: Map<string, FirstJobs>): Promise<string[]> {
    const reader = this.#reader.of(tenant);
    const inGroup = await reader.listGroup(id, MAX_JOBS);
    if (inGroup.length > 0) return inGroup;
    // Without concurrency groups nothing lists the jobs of a client: they are looked for among the tenant's first.
    const reading = firstJobs.get(tenant) ?? reader.listWaiting(JOBS_A_LOOK);
    firstJobs.set(tenant, reading);
    const own = (await reading).filter(({ clientId }) => clientId === id);
    return own.slice(0, MAX_JOBS).map((job) => job.id);
  }
}

function toPlace(id: string, estimate: Estimate | undefined): JobPlace | undefined {
  if (estimate?.position === undefined) return undefined;
  const { position, startMs, endMs } = estimate;
  return { prompt_id: id, position, expected_start_time: startMs, expected_end_time: endMs };
}

function isSame(before: readonly JobPlace[], now: readonly JobPlace[]): boolean {
  return (
    before.length === now.length &&
    now.every((place, index) => {
      const old = before[index];
      return (
        old?.prompt_id === place.prompt_id &&
        old.position === place.position &&
        isSameTime(old.expected_start_time, place.expected_start_time) &&
        isSameTime(old.expected_end_time, place.expected_end_time)
      );
    })
  );
}

function isSameTime(before: number | undefined, now: number | undefined): boolean {
  if (before === undefined || now === undefined) return before === now;
  const waitMs = before - Date.now();
  return Math.abs(before - now) < Math.max(SAME_MS, waitMs * SAME_PART);
}
