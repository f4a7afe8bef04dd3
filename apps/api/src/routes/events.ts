import {
  AppError,
  frameText,
  parseJson,
  stringifyJson,
  type EventLine,
  type EventMessage,
} from '@tiercel/contracts';
import { isNewer, type EventReplay, type EventSubscriber } from '@tiercel/events';
import type { JobRecord, Reader } from '@tiercel/queue';
import type { Request, Response } from 'express';
import { isEnded } from '../history-item.ts';
import { readParam, readQuery, sendEmpty, sendJson } from '../http/answer.ts';
import { goneSignal } from '../http/on-closed.ts';
import type { Route } from '../http/route.ts';

const KEEP_ALIVE_MS = 15_000;
const STREAM_ID = /^\d{1,15}-\d{1,15}\.\d{1,6}$/;
/** The last frame of every job: `executing` with no node. */
const LAST = '{"type":"executing","data":{"node":null,';

export interface EventsDependencies {
  readonly reader: Reader;
  readonly replay: EventReplay;
  readonly subscriber: EventSubscriber;
  readonly maxStreams: number;
}

/**
 * GET /api/jobs/{id}/events: a job's events as server-sent events, for scripts. Replays what is kept
 * after Last-Event-ID (or from the start), then follows until the job has ended (`executing` with node null).
 */
export function createEventsRoutes(deps: EventsDependencies): Route[] {
  let open = 0;
  return [
    {
      method: 'GET',
      path: '/jobs/:jobId/events',
      prefix: 'api',
      async handle(req, res) {
        // Told of the caller's leaving from the start: it may leave during any of the awaits below.
        const gone = goneSignal(res);
        const job = await deps.reader.readRecord(readParam(req, 'jobId'));
        if (job === undefined) {
          sendJson(res, { error: 'Job not found' }, 404);
          return;
        }
        if (gone.aborted) return;
        if (open >= deps.maxStreams) {
          throw new AppError('too_many_sockets', 'Too many event streams are open.', {
            retryAfterSeconds: 5,
          });
        }
        open += 1;
        gone.addEventListener('abort', () => {
          open -= 1;
        });
        await streamEvents(req, res, job, { ...deps, gone });
      },
    },
  ];
}

async function streamEvents(
  req: Request,
  res: Response,
  job: JobRecord,
  deps: EventsDependencies & { readonly gone: AbortSignal },
): Promise<void> {
  const stream = new EventStream(res, readLastEventId(req));
  const isGone = () => deps.gone.aborted; // asked again after each await
  const stopListening = await deps.subscriber.listenToJob(job.id, stream);
  if (isGone()) {
    stopListening();
    return;
  }
  const keepAlive = setInterval(() => {
    stream.comment('still here');
  }, KEEP_ALIVE_MS);
  deps.gone.addEventListener('abort', () => {
    clearInterval(keepAlive);
    stopListening();
  });
  const kept: EventLine[] = [];
  for await (const lines of deps.replay.readAfter(job.id, stream.lastId)) kept.push(...lines);
  // The record is read after listening began: a job that ended, or was deleted, before that shows here.
  const now = await deps.reader.readRecord(job.id);
  if (isGone()) return;
  if (now === undefined) {
    sendJson(res, { error: 'Job not found' }, 404);
    return;
  }
  if (kept.length === 0 && isEnded(now)) {
    if (stream.lastId === undefined) {
      stream.open(terminalFromRecord(now));
      return;
    }
    // 204 tells an EventSource that there will be no more.
    sendEmpty(res, 204);
    return;
  }
  stream.open(kept);
}

function readLastEventId(req: Request): string | undefined {
  const given = req.headers['last-event-id'] ?? readQuery(req, 'last_event_id');
  return typeof given === 'string' && STREAM_ID.test(given) ? given : undefined;
}

/** The stream has expired, the record has not: its messages tell how the job went. */
function terminalFromRecord(job: JobRecord): EventLine[] {
  const messages = parseJson(job.messagesText) as [string, unknown][];
  const idle: [string, unknown] = ['executing', { node: null, prompt_id: job.id }];
  return [...messages, idle].map(([type, data]) => ({
    id: '-',
    frame: frameText(type, data, stringifyJson),
  }));
}

/** Writes events to one response, each once, in order; ends it after the terminal one. */
class EventStream {
  readonly #res: Response;
  #backlog: EventLine[] | undefined = [];
  lastId: string | undefined;

  constructor(res: Response, lastId: string | undefined) {
    this.#res = res;
    this.lastId = lastId;
  }

  open(kept: readonly EventLine[]): void {
    this.#res.writeHead(200, {
      'Content-Type': 'text/event-stream; charset=utf-8',
      'Cache-Control': 'no-cache, no-transform',
      'X-Accel-Buffering': 'no',
    });
    this.#res.write('retry: 1000\n\n');
    const waiting = this.#backlog ?? [];
    this.#backlog = undefined;
    this.#write([...kept, ...waiting]);
  }

  onEvents(message: EventMessage): void {
    // An end without a frame: the job was deleted while it waited.
    if (message.terminal && message.lines.length === 0) this.#res.end();
    else if (this.#backlog === undefined) this.#write(message.lines);
    else this.#backlog.push(...message.lines);
  }

  onPreview(): void {
    // Pictures are not for event streams.
  }

  comment(text: string): void {
    if (this.#res.headersSent && !this.#res.writableEnded) this.#res.write(`: ${text}\n\n`);
  }

  #write(lines: readonly EventLine[]): void {
    for (const { id, frame } of lines) {
      if (this.#res.writableEnded) return;
      const isStatus = frame.startsWith('{"type":"status"');
      const isOld = id !== '-' && this.lastId !== undefined && !isNewer(id, this.lastId);
      if (isStatus || isOld) continue;
      if (id !== '-') this.lastId = id;
      const idLine = id === '-' ? '' : `id: ${id}\n`;
      this.#res.write(`${idLine}event: ${typeOf(frame)}\ndata: ${dataOf(frame)}\n\n`);
      if (frame.startsWith(LAST)) this.#res.end();
    }
  }
}

/** A frame is `{"type":"<type>","data":<data>}`; see frameText. */
function typeOf(frame: string): string {
  return frame.slice('{"type":"'.length, frame.indexOf('","data":'));
}

function dataOf(frame: string): string {
  return frame.slice(frame.indexOf('","data":') + '","data":'.length, -1);
}
