import { boundedFrame, type EventLine, type EventMessage } from '@tiercel/contracts';
import {
  isNewer,
  type ChannelListener,
  type EventReplay,
  type EventSubscriber,
  type GapListener,
} from '@tiercel/events';
import type { Reader } from '@tiercel/queue';
import type { Response } from 'express';
import { drained, sendEmpty, sendJson } from '../http/answer.ts';
import { isLastFrame, lastFrame, readMessages } from '../sockets/end-frames.ts';
import { isProgressFrame } from '../sockets/job-frames.ts';
import type { SocketCounters } from '../sockets/socket-counters.ts';

/** `reader` and `replay` of the job's tenant. */
export interface EventStreamParts {
  readonly reader: Reader;
  readonly replay: EventReplay;
  readonly subscriber: EventSubscriber;
  readonly counters: SocketCounters;
  /** Of one event. */
  readonly maxEventBytes: number;
  /** Unsent bytes of one stream above which it is sent no progress, and at which it is closed. */
  readonly limits: { readonly progressBytes: number; readonly closeBytes: number };
}

const STATUS = '{"type":"status"';

/**
 * Writes a job's events to one response, each once, in order, and ends it after the last. What is kept is
 * read first, and again after a gap of the subscription; live events wait meanwhile. One whose caller
 * reads too slowly loses progress, then the connection: the caller comes back with Last-Event-ID.
 */
export class EventStream implements ChannelListener, GapListener {
  readonly #res: Response;
  readonly #jobId: string;
  readonly #parts: EventStreamParts;
  #lastId: string | undefined;
  /** What waits until the records have been read; undefined while events are written as they come. */
  #backlog: EventLine[] | undefined = [];
  #backlogCharacters = 0;
  #isCatchingUp = false;

  /** @param lastId the newest event that the caller knows */
  constructor(
    res: Response,
    job: { readonly id: string; readonly lastId: string | undefined },
    parts: EventStreamParts,
  ) {
    this.#res = res;
    this.#jobId = job.id;
    this.#lastId = job.lastId;
    this.#parts = parts;
  }

  onEvents(message: EventMessage): void {
    // An end without a frame: the job was deleted while it waited.
    if (message.terminal && message.lines.length === 0) this.#res.end();
    else if (this.#backlog === undefined) this.#writeLive(message.lines);
    else this.#keep(this.#backlog, message.lines);
  }

  onPreview(): void {
    // Pictures are not for event streams.
  }

  onGap(): void {
    this.#backlog ??= [];
  }

  onWhole(): void {
    if (this.#isCatchingUp) return; // it looks again by itself
    this.catchUp().then(
      () => {
        this.#parts.counters.repaired('stream');
      },
      () => {
        // The caller asks again, and gets an answer.
        this.#res.destroy();
      },
    );
  }

  comment(text: string): void {
    if (this.#res.headersSent && !this.#res.writableEnded) this.#res.write(`: ${text}\n\n`);
  }

  /** Writes what is on record, then what came meanwhile, and goes on with live events. */
  async catchUp(): Promise<void> {
    this.#isCatchingUp = true;
    try {
      await this.#readRecords();
    } finally {
      this.#isCatchingUp = false;
    }
  }

  async #readRecords(): Promise<void> {
    const { subscriber, reader } = this.#parts;
    for (;;) {
      const { gaps } = subscriber;
      await this.#readEvents();
      if (this.#isOver()) return;
      const state = await reader.readState(this.#jobId);
      if (state !== undefined && state !== 'pending' && state !== 'running') {
        // It may have ended in between; its end is among its events then.
        await this.#readEvents();
        if (!this.#isOver()) await this.#endFromRecord();
        return;
      }
      if (this.#isOver() || !subscriber.isWhole) return; // onWhole comes
      if (gaps !== subscriber.gaps) continue;
      if (state === undefined) {
        this.#endUnknown();
        return;
      }
      // What came meanwhile; while it is written more may come.
      for (let waiting = this.#takeBacklog(); waiting.length > 0; waiting = this.#takeBacklog()) {
        await this.#writeAll(waiting);
      }
      if (gaps !== subscriber.gaps) continue;
      this.#begin();
      this.#backlog = undefined;
      return;
    }
  }

  async #readEvents(): Promise<void> {
    for await (const lines of this.#parts.replay.readAfter(this.#jobId, this.#lastId)) {
      if (this.#isOver()) return;
      await this.#writeAll(lines);
    }
  }

  #isOver(): boolean {
    return this.#res.writableEnded || this.#res.destroyed;
  }

  #takeBacklog(): EventLine[] {
    const waiting = this.#backlog ?? [];
    this.#backlog = [];
    this.#backlogCharacters = 0;
    return waiting;
  }

  /** The end is not among the events: they have expired, the record has not. */
  async #endFromRecord(): Promise<void> {
    if (!this.#res.headersSent && this.#lastId !== undefined) {
      // 204 tells an EventSource that there will be no more.
      sendEmpty(this.#res, 204);
      return;
    }
    const { reader, maxEventBytes } = this.#parts;
    for await (const [job] of reader.streamEnds([this.#jobId])) {
      const messages = job === undefined ? [] : readMessages(job);
      // Who has been sent its events so far lacks only the end.
      const missing = this.#res.headersSent ? messages.slice(-1) : messages;
      const frames = missing.map(([type, data]) => boundedFrame(type, data, maxEventBytes));
      const lines = [...frames, lastFrame(this.#jobId)].map((frame) => ({ id: '-', frame }));
      await this.#writeAll(lines);
    }
    if (!this.#isOver()) this.#endUnknown();
  }

  #endUnknown(): void {
    if (this.#res.headersSent) this.#res.end();
    else sendJson(this.#res, { error: 'Job not found' }, 404);
  }

  #begin(): void {
    if (this.#res.headersSent) return;
    this.#res.writeHead(200, {
      'Content-Type': 'text/event-stream; charset=utf-8',
      'Cache-Control': 'no-cache, no-transform',
      'X-Accel-Buffering': 'no',
    });
    this.#res.write('retry: 1000\n\n');
  }

  #keep(backlog: EventLine[], lines: readonly EventLine[]): void {
    backlog.push(...lines);
    for (const { frame } of lines) this.#backlogCharacters += frame.length;
    if (this.#backlogCharacters > this.#parts.limits.closeBytes) this.#closeAsTooSlow();
  }

  #closeAsTooSlow(): void {
    this.#parts.counters.slowClosed('stream');
    this.#res.destroy();
  }

  /** As fast as the caller reads. */
  async #writeAll(lines: readonly EventLine[]): Promise<void> {
    for (const line of lines) {
      if (this.#isOver()) return;
      this.#write(line);
      await drained(this.#res);
    }
  }

  #writeLive(lines: readonly EventLine[]): void {
    for (const line of lines) {
      if (this.#isOver()) return;
      this.#write(line);
    }
    if (this.#res.writableLength > this.#parts.limits.closeBytes && !this.#isOver()) {
      this.#closeAsTooSlow();
    }
  }

  #write({ id, frame }: EventLine): void {
    const isOld = id !== '-' && this.#lastId !== undefined && !isNewer(id, this.#lastId);
    if (isOld || frame.startsWith(STATUS)) return;
    this.#begin();
    if (id !== '-') this.#lastId = id;
    const isBehind = this.#res.writableLength > this.#parts.limits.progressBytes;
    if (isBehind && isProgressFrame(frame)) return;
    const idLine = id === '-' ? '' : `id: ${id}\n`;
    this.#res.write(`${idLine}event: ${typeOf(frame)}\ndata: ${dataOf(frame)}\n\n`);
    if (isLastFrame(frame)) this.#res.end();
  }
}

/** A frame is `{"type":"<type>","data":<data>}`; see frameText. */
function typeOf(frame: string): string {
  return frame.slice('{"type":"'.length, frame.indexOf('","data":'));
}

function dataOf(frame: string): string {
  return frame.slice(frame.indexOf('","data":') + '","data":'.length, -1);
}
