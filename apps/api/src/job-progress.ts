import { isJsonObject, parseJson } from '@tiercel/contracts';
import type { EventReplay } from '@tiercel/events';
import { measureProgress, type Outline } from '@tiercel/graph';
import type { JobRecord } from '@tiercel/queue';
import type { BodyExaminer } from './json/body-examiner.ts';

/** Jobs that were asked for last: whoever polls asks again. */
const MAX_JOBS = 200;
/** `progress_state` tells of so many nodes; finished ones make room for those that run. */
const MAX_NODES_TOLD = 64;
const EXECUTING = '{"type":"executing"';

type Job = Pick<JobRecord, 'id' | 'promptText' | 'targetsText' | 'createdAt'>;

interface KnownJob {
  readonly outline: Promise<Outline>;
  /** Of a graph with more nodes than are told of: those that have begun, in their order. */
  readonly begun: Set<string>;
  /** The newest event that `begun` comes from. */
  lastId: string | undefined;
}

/** How far running jobs are, for callers that do not listen to events. */
export class JobProgress {
  readonly #replay: EventReplay;
  readonly #examiner: Pick<BodyExaminer, 'outline'>;
  readonly #jobs = new Map<string, KnownJob>();

  constructor(dependencies: { replay: EventReplay; examiner: Pick<BodyExaminer, 'outline'> }) {
    this.#replay = dependencies.replay;
    this.#examiner = dependencies.examiner;
  }

  /** @returns from 0 to 1 */
  async read(job: Job, tenant: string): Promise<number> {
    const replay = this.#replay.of(tenant);
    const emitted = await replay.readEmitted(job.id);
    if (emitted === undefined) return 0;
    const known = this.#find(job, tenant);
    const outline = await known.outline;
    if (outline.size > MAX_NODES_TOLD) await readBegun(replay, job.id, known);
    // One at a time: those before the last are done.
    const done = [...(emitted.cached ?? []), ...[...known.begun].slice(0, -1)];
    const progress = measureProgress(outline, emitted.nodes, done);
    return Math.floor(progress * 1_000) / 1_000;
  }

  #find({ id, createdAt, promptText, targetsText }: Job, tenant: string): KnownJob {
    // An id may be used again when its job is gone.
    const key = JSON.stringify([tenant, id, createdAt]);
    const known = this.#jobs.get(key);
    if (known !== undefined) return known;
    const outputIds = JSON.parse(targetsText) as string[]; // as enqueue wrote it
    const outline = this.#examiner.outline(promptText, outputIds);
    const job: KnownJob = { outline, begun: new Set(), lastId: undefined };
    this.#jobs.set(key, job);
    outline.catch(() => this.#jobs.delete(key));
    if (this.#jobs.size > MAX_JOBS) {
      // Maps keep insertion order.
      const { value: oldest } = this.#jobs.keys().next();
      if (oldest !== undefined) this.#jobs.delete(oldest);
    }
    return job;
  }
}

/** Adds what has begun since the last time. */
async function readBegun(replay: EventReplay, id: string, job: KnownJob): Promise<void> {
  for await (const lines of replay.readAfter(id, job.lastId)) {
    for (const { id: eventId, frame } of lines) {
      job.lastId = eventId;
      if (!frame.startsWith(EXECUTING)) continue;
      const message = parseJson(frame);
      const data = isJsonObject(message) ? message.data : undefined;
      if (!isJsonObject(data) || typeof data.node !== 'string') continue;
      job.begun.delete(data.node);
      job.begun.add(data.node);
    }
  }
}
