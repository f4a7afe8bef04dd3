import type { EventLine, Preview, RedisNames } from '@tiercel/contracts';
import type { Redis } from '@tiercel/runtime';
import { decodePreview } from './preview-message.ts';

/** Where a running job stands, as frames to send to a socket that has just come back. */
export interface PresentState {
  /** The last `executing` frame, when the job has one. */
  readonly executing: string | undefined;
  readonly progressState: string | undefined;
  readonly preview: Preview | undefined;
  /** Id of the newest event this state includes; live events up to it are repetitions. */
  readonly lastId: string;
}

const FIRST = '-';
const LOOK_BACK = 64;
const PAGE = 500;

/** Reads what was published before one listened. */
export class EventReplay {
  readonly #redis: Redis;
  readonly #names: RedisNames;

  constructor(redis: Redis, names: RedisNames) {
    this.#redis = redis;
    this.#names = names;
  }

  /** Events of a job after a stream id (undefined: from the first that is kept), a page at a time. */
  async *readAfter(promptId: string, afterId: string | undefined): AsyncGenerator<EventLine[]> {
    let from = afterId === undefined ? FIRST : `(${afterId}`;
    for (;;) {
      const entries = await this.#redis.xrange(
        this.#names.jobEvents(promptId),
        from,
        '+',
        'COUNT',
        PAGE,
      );
      if (entries.length > 0) yield entries.map(toLine);
      const last = entries.at(-1);
      if (last === undefined || entries.length < PAGE) return;
      from = `(${last[0]}`;
    }
  }

  async readPresentState(promptId: string): Promise<PresentState> {
    const [entries, preview] = await Promise.all([
      this.#redis.xrevrange(this.#names.jobEvents(promptId), '+', '-', 'COUNT', LOOK_BACK),
      this.#redis.getBuffer(this.#names.lastPreview(promptId)),
    ]);
    const lines = entries.map(toLine);
    const newest = (type: string): string | undefined =>
      lines.find((line) => line.frame.startsWith(`{"type":"${type}",`))?.frame;
    return {
      executing: newest('executing'),
      progressState: newest('progress_state'),
      preview: preview === null ? undefined : decodePreview(preview),
      lastId: lines[0]?.id ?? '0-0',
    };
  }

  /** Ids of jobs of a client whose end no socket of it has been sent yet, oldest first. */
  async listMissed(clientId: string): Promise<string[]> {
    return await this.#redis.zrange(this.#names.missed(clientId), 0, '-1');
  }

  /** The end of these jobs has reached a socket of the client. */
  async acknowledge(clientId: string, promptIds: readonly string[]): Promise<void> {
    if (promptIds.length > 0) await this.#redis.zrem(this.#names.missed(clientId), ...promptIds);
  }
}

function toLine([id, fields]: [id: string, fields: string[]]): EventLine {
  return { id, frame: fields[1] ?? '' };
}

/** Whether stream id `a` is newer than `b`. */
export function isNewer(a: string, b: string): boolean {
  const [aMs = '0', aSeq = '0'] = a.split('-');
  const [bMs = '0', bSeq = '0'] = b.split('-');
  return Number(aMs) > Number(bMs) || (aMs === bMs && Number(aSeq) > Number(bSeq));
}
