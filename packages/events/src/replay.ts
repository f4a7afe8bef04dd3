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

  /** Events of a job after an event id (undefined: from the first that is kept), a page at a time. */
  async *readAfter(promptId: string, afterId: string | undefined): AsyncGenerator<EventLine[]> {
    const key = this.#names.jobEvents(promptId);
    // The entry of that event may hold later ones too: it is read again.
    let from = afterId === undefined ? FIRST : (afterId.split('.')[0] ?? FIRST);
    for (;;) {
      const entries = await this.#redis.xrange(key, from, '+', 'COUNT', PAGE);
      const lines = entries.flatMap(toLines);
      yield afterId === undefined ? lines : lines.filter((line) => isNewer(line.id, afterId));
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
    const lines = entries.flatMap((entry) => toLines(entry).reverse());
    const newest = (type: string): string | undefined =>
      lines.find((line) => line.frame.startsWith(`{"type":"${type}",`))?.frame;
    return {
      executing: newest('executing'),
      progressState: newest('progress_state'),
      preview: preview === null ? undefined : decodePreview(preview),
      lastId: lines[0]?.id ?? '0-0.0',
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

function toLines([entry, fields]: [entry: string, fields: string[]]): EventLine[] {
  const lines: EventLine[] = [];
  for (let at = 1; at < fields.length; at += 2) {
    lines.push({ id: `${entry}.${lines.length}`, frame: fields[at] ?? '' });
  }
  return lines;
}

/** Whether event id `a` is newer than `b`. Ids are `<ms>-<sequence>.<place>`. */
export function isNewer(a: string, b: string): boolean {
  const [left, right] = [a.split(/[-.]/), b.split(/[-.]/)];
  for (let part = 0; part < 3; part += 1) {
    const difference = Number(left[part] ?? 0) - Number(right[part] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return false;
}
