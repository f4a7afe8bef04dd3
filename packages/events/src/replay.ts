import {
  clientKeyOf,
  decodeClient,
  DEFAULT_TENANT,
  jobIdOf,
  parseEventLine,
  unscoped,
  type EventLine,
  type Preview,
  type RedisNames,
} from '@tiercel/contracts';
import type { Redis } from '@tiercel/runtime';
import { readEmitted, type EmittedBefore } from './emitted-before.ts';
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

/** A job that has ended. */
export interface JobEnd {
  /** Its place among all ends. */
  readonly endId: string;
  readonly tenant: string;
  readonly promptId: string;
  /** Undefined when the prompt named none. */
  readonly clientId: string | undefined;
}

/** What a client that comes back has not been sent. */
export interface Missed {
  /** Ids of its jobs whose end no socket of it has been sent, oldest first. */
  readonly endedIds: readonly string[];
  /** Result pictures that no socket of it has been sent, oldest first. */
  readonly pictures: readonly EventLine[];
  /** The newest end of any job at that moment. */
  readonly endId: string;
}

/** Before the first end of all. */
export const NO_END = '0-0';
/** At least so many are kept (event-log.lua). */
const MAX_ENDS = 10_000;
const FIRST = '-';
const PAGE = 200;
/** More places than a batch has frames. */
const LAST_PLACE = 1_000_000;

/** Reads what was published of a tenant's jobs before one listened. */
export class EventReplay {
  readonly #redis: Redis;
  readonly #names: RedisNames;
  readonly #tenant: string;

  constructor(redis: Redis, names: RedisNames, tenant = DEFAULT_TENANT) {
    this.#redis = redis;
    this.#names = names;
    this.#tenant = tenant;
  }

  /** The same for another tenant's jobs. */
  of(tenant: string): EventReplay {
    return tenant === this.#tenant ? this : new EventReplay(this.#redis, this.#names, tenant);
  }

  #job(promptId: string): string {
    return jobIdOf(this.#tenant, promptId);
  }

  #client(clientId: string): string {
    return clientKeyOf(this.#tenant, clientId);
  }

  /**
   * Events of a job after an event id (undefined: from the first that is kept), a page at a time, in their
   * order. Of progress only the newest is kept: for the job, and for each node.
   */
  async *readAfter(promptId: string, afterId: string | undefined): AsyncGenerator<EventLine[]> {
    const isWanted = ({ id }: EventLine) => afterId === undefined || isNewer(id, afterId);
    const progress = (await this.#readProgress(promptId)).filter(isWanted);
    const key = this.#names.jobEvents(this.#job(promptId));
    // The entry of that event may hold later ones too: it is read again.
    let from = afterId === undefined ? FIRST : (afterId.split('.')[0] ?? FIRST);
    for (;;) {
      const entries = await this.#redis.xrange(key, from, '+', 'COUNT', PAGE);
      const page: EventLine[] = [];
      for (const line of entries.flatMap(toLines).filter(isWanted)) {
        while (progress[0] !== undefined && isNewer(line.id, progress[0].id)) {
          page.push(...progress.splice(0, 1));
        }
        page.push(line);
      }
      const last = entries.at(-1);
      const isLastPage = last === undefined || entries.length < PAGE;
      yield isLastPage ? [...page, ...progress] : page;
      if (isLastPage) return;
      from = `(${last[0]}`;
    }
  }

  async #readProgress(promptId: string): Promise<EventLine[]> {
    const slots = await this.#redis.hgetall(this.#names.jobState(this.#job(promptId)));
    return Object.entries(slots)
      .filter(([slot]) => slot === 'progress_state' || slot.startsWith('progress '))
      .map(([, line]) => parseEventLine(line))
      .sort((a, b) => (isNewer(a.id, b.id) ? 1 : -1));
  }

  /** What was emitted of a job's progress; undefined when nothing was. */
  readEmitted(promptId: string): Promise<EmittedBefore | undefined> {
    return readEmitted(this.#redis, this.#names.jobState(this.#job(promptId)));
  }

  async readPresentState(promptId: string): Promise<PresentState> {
    const [slots, preview] = await Promise.all([
      this.#redis.hmget(
        this.#names.jobState(this.#job(promptId)),
        ...['batch', 'executing', 'progress_state'],
      ),
      this.#redis.getBuffer(this.#names.lastPreview(this.#job(promptId))),
    ]);
    const [batch, executing, progressState] = slots;
    const frameOf = (line: string | null | undefined) =>
      line === null || line === undefined ? undefined : parseEventLine(line).frame;
    return {
      executing: frameOf(executing),
      progressState: frameOf(progressState),
      preview: preview === null ? undefined : decodePreview(preview),
      lastId: `${batch ?? 0}-0.${LAST_PLACE}`,
    };
  }

  /** What a client missed, and up to which end that is, as of one moment. */
  async readMissed(client: string): Promise<Missed> {
    const replies = await this.#redis
      .multi()
      .zrange(this.#names.missed(this.#client(client)), 0, '-1')
      .zrange(this.#names.unsentPictures(this.#client(client)), 0, '-1')
      .xrevrange(this.#names.ends, '+', '-', 'COUNT', 1)
      .exec();
    for (const [error] of replies ?? []) if (error) throw error;
    const [ended, pictures, newest] = (replies ?? []).map(([, value]) => value) as [
      string[],
      string[],
      [string, string[]][],
    ];
    return {
      endedIds: ended.map((id) => unscoped(id).text),
      pictures: pictures.map(parseEventLine),
      endId: newest[0]?.[0] ?? NO_END,
    };
  }

  /** The end of these jobs has reached a socket of the client. */
  async acknowledge(client: string, promptIds: readonly string[]): Promise<void> {
    if (promptIds.length === 0) return;
    const jobs = promptIds.map((id) => this.#job(id));
    await this.#redis.zrem(this.#names.missed(this.#client(client)), ...jobs);
  }

  /** These result pictures have. */
  async acknowledgePictures(client: string, pictures: readonly EventLine[]): Promise<void> {
    if (pictures.length === 0) return;
    const members = pictures.map(({ id, frame }) => `${id} ${frame}`);
    await this.#redis.zrem(this.#names.unsentPictures(this.#client(client)), ...members);
  }

  /** Whether every end after this one is still on record. */
  async reachesBackTo(endId: string): Promise<boolean> {
    const [count, [oldest]] = await Promise.all([
      this.#redis.xlen(this.#names.ends),
      this.#redis.xrange(this.#names.ends, '-', '+', 'COUNT', 1),
    ]);
    return count < MAX_ENDS || (oldest !== undefined && !isNewer(oldest[0], endId));
  }

  /** Jobs of all tenants that ended after another end, in the order of their ends. */
  async *readEndsAfter(endId: string): AsyncGenerator<JobEnd[]> {
    let from = endId;
    for (;;) {
      const entries = await this.#redis.xrange(this.#names.ends, `(${from}`, '+', 'COUNT', PAGE);
      // Fields as event-log.lua writes them: id, client.
      yield entries.map(([endId, [, job = '', , client = '']]) => {
        const { tenant, text: promptId } = unscoped(job);
        return { endId, tenant, promptId, clientId: decodeClient(client) };
      });
      const last = entries.at(-1);
      if (last === undefined || entries.length < PAGE) return;
      from = last[0];
    }
  }
}

/** Fields of an entry are the places of its events; entries of an earlier version count from 0. */
function toLines([entry, fields]: [entry: string, fields: string[]]): EventLine[] {
  const lines: EventLine[] = [];
  for (let at = 1; at < fields.length; at += 2) {
    const place = fields[at - 1] ?? '';
    const isCounted = /^\d+$/.test(place);
    lines.push({ id: `${entry}.${isCounted ? place : lines.length}`, frame: fields[at] ?? '' });
  }
  return lines;
}

/** Whether event id `a` is newer than `b`. Ids are `<batch>-0.<place>`, those of ends `<ms>-<count>`. */
export function isNewer(a: string, b: string): boolean {
  const [left, right] = [a.split(/[-.]/), b.split(/[-.]/)];
  for (let part = 0; part < 3; part += 1) {
    const difference = Number(left[part] ?? 0) - Number(right[part] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return false;
}
