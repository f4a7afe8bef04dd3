import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import {
  AppError,
  frameText,
  keyText,
  stringifyJson,
  type EventLine,
  type ResultPicture,
} from '@tiercel/contracts';
import type { EventReplay, EventSubscriber } from '@tiercel/events';
import type { Reader } from '@tiercel/queue';
import { startInterval, type Logger } from '@tiercel/runtime';
import { v4 as uuid } from 'uuid';
import { WebSocketServer, type WebSocket } from 'ws';
import { answerRaw } from '../http/raw-answer.ts';
import { ClientGroup } from './client-group.ts';
import { DeliveryLog } from './delivery-log.ts';
import { GapRepair } from './gap-repair.ts';
import { emptySnapshot, readSnapshot, type Snapshot } from './snapshot.ts';
import type { SocketCounters } from './socket-counters.ts';
import { SocketSession, type BufferLimits } from './socket-session.ts';
import { StatusBroadcaster, statusFrame } from './status-broadcaster.ts';

interface SocketHubOptions {
  readonly maxSockets: number;
  readonly pingIntervalMs: number;
  readonly statusIntervalMs: number;
  readonly limits: BufferLimits;
  readonly previewsAlways: boolean;
  /** Of one frame. */
  readonly maxEventBytes: number;
  /** What the server can do; sent to sockets that say first what they can. */
  readonly features: () => Readonly<Record<string, unknown>>;
}

export interface SocketHubParts {
  readonly subscriber: EventSubscriber;
  readonly replay: EventReplay;
  readonly reader: Reader;
  /** A stored picture; undefined when it is gone. */
  readonly readPicture: (picture: ResultPicture) => Promise<Uint8Array | undefined>;
  readonly counters: SocketCounters;
  readonly options: SocketHubOptions;
  readonly log: Logger;
}

interface Entry {
  readonly group: ClientGroup;
  /** Resolves when the client's channel is listened to, with how to stop. */
  readonly stop: Promise<() => void>;
}

/** Frames a client sends are small: feature flags, nothing else. */
const MAX_CLIENT_FRAME_BYTES = 256 * 1024;
const GOING_AWAY = 1001;
const POLICY_VIOLATION = 1008;
const CLOSE_LIMIT_MS = 500;

/** The WebSocket side of the API: who is connected, and what each of them is sent. */
export class SocketHub {
  readonly #server: WebSocketServer;
  readonly #parts: SocketHubParts;
  /** Whose each open socket is. */
  readonly #sessions = new Map<SocketSession, string>();
  readonly #groups = new Map<string, Entry>();
  /** Jobs without a client: their progress goes to every socket. */
  readonly #everyone: ClientGroup;
  readonly #status: StatusBroadcaster<SocketSession>;
  readonly #deliveries: DeliveryLog;
  #pinger: NodeJS.Timeout | undefined;
  #isStopping = false;

  constructor(parts: SocketHubParts) {
    this.#parts = parts;
    const { options, replay, log } = parts;
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      // Previews are compressed already, and a deflate context per socket costs 300 KB.
      perMessageDeflate: false,
      maxPayload: MAX_CLIENT_FRAME_BYTES,
    });
    this.#server.on('wsClientError', (error, socket) => {
      answerRaw(socket, new AppError('bad_request', error.message));
    });
    this.#status = new StatusBroadcaster({
      intervalMs: options.statusIntervalMs,
      sockets: () => this.#sessions.keys(),
      send: (session, frame) => {
        session.sendText(frame);
      },
    });
    this.#deliveries = new DeliveryLog(replay, log);
    this.#everyone = new ClientGroup({
      onEndDelivered: () => undefined,
      onPictureDelivered: () => undefined,
      maxBacklogCharacters: options.limits.closeBytes,
      isEveryone: true,
    });
  }

  get socketCount(): number {
    return this.#sessions.size;
  }

  async start(): Promise<void> {
    const { subscriber, options } = this.#parts;
    const { reader, replay, counters, log } = this.#parts;
    await subscriber.onStatus((remaining) => {
      this.#status.update(remaining);
    });
    await subscriber.listenToEveryone(this.#everyone);
    subscriber.onGap(
      new GapRepair({
        ...{ subscriber, reader, replay, counters, log },
        groups: this.#groups,
        everyone: this.#everyone,
        maxEventBytes: options.maxEventBytes,
        refreshStatus: () => this.#refreshStatus(),
      }),
    );
    this.#pinger = startInterval(() => {
      for (const session of this.#sessions.keys()) session.ping();
    }, options.pingIntervalMs);
    await this.#refreshStatus();
  }

  /** Reads the number of jobs anew: it may have changed during a gap. */
  async #refreshStatus(): Promise<void> {
    this.#status.update(await this.#parts.reader.countRemaining());
  }

  /** Closes every socket; clients reconnect to another process. */
  stop(): void {
    this.#isStopping = true;
    clearInterval(this.#pinger);
    this.#status.stop();
    for (const session of this.#sessions.keys()) {
      closeSoon(session, GOING_AWAY, 'server is stopping');
    }
  }

  /** Why no socket is taken now; undefined: it is. */
  findRefusal(): AppError | undefined {
    if (!this.#isStopping && this.#sessions.size < this.#parts.options.maxSockets) return undefined;
    const why = this.#isStopping ? 'This server is stopping.' : 'Too many sockets are open.';
    return new AppError('too_many_sockets', why, { retryAfterSeconds: 5 });
  }

  /**
   * An upgrade request for /ws that was not refused.
   * @param hold is told how to close the socket when its caller may no longer have it, and tells whom to tell of its end
   */
  handleUpgrade(
    req: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    clientId: string | null,
    hold?: (close: () => void) => () => void,
  ): void {
    const { options, readPicture, counters } = this.#parts;
    this.#server.handleUpgrade(req, socket, head, (webSocket) => {
      const isKnown = clientId !== null && clientId !== '';
      // A fresh id is 32 hex digits without dashes, as ComfyUI's.
      const id = isKnown ? clientId : uuid().replaceAll('-', '');
      const { limits, previewsAlways } = options;
      const session = new SocketSession(webSocket, socket, {
        ...{ limits, previewsAlways, readPicture, counters },
      });
      this.#open(webSocket, session, { id, isKnown });
      if (hold === undefined) return;
      const release = hold(() => {
        closeSoon(session, POLICY_VIOLATION, 'who opened this may no longer have it');
      });
      webSocket.on('close', release);
    });
  }

  #open(
    webSocket: WebSocket,
    session: SocketSession,
    { id, isKnown }: { readonly id: string; readonly isKnown: boolean },
  ): void {
    const { subscriber, log } = this.#parts;
    const client = keyText(id);
    this.#sessions.set(session, client);
    webSocket.on('pong', () => {
      session.isAlive = true;
    });
    webSocket.on('message', (data, isBinary) => {
      session.isAlive = true;
      if (!isBinary) session.readFrame(toText(data), () => this.#featuresFrame());
    });
    webSocket.on('error', (error) => {
      log.debug({ err: error, client }, 'socket error');
    });
    webSocket.on('close', () => {
      this.#close(session, client);
    });
    session.sendText(statusFrame(this.#status.latest, id));
    const isBehind = !subscriber.isWhole;
    this.#everyone.admit(session, { endId: subscriber.lastEndId, isBehind });
    this.#join(session, client, isKnown).catch((error: unknown) => {
      // Without its subscription the socket would be deaf: let the client try again.
      log.warn({ err: error, client }, 'socket could not be joined to its client');
      session.close(1011, 'try again');
    });
  }

  async #join(session: SocketSession, client: string, isKnown: boolean): Promise<void> {
    const { subscriber } = this.#parts;
    const entry = this.#groups.get(client) ?? this.#createGroup(client);
    let { gaps } = subscriber;
    entry.group.join(session);
    // First listen, then look: nothing falls between.
    await entry.stop;
    for (;;) {
      await subscriber.whole();
      if (!this.#sessions.has(session)) return;
      if (gaps !== subscriber.gaps) {
        // What was received before is in what is read now.
        ({ gaps } = subscriber);
        entry.group.join(session);
      }
      const snapshot = await this.#readSnapshot(client, isKnown);
      if (!subscriber.isWhole || gaps !== subscriber.gaps) continue;
      entry.group.catchUp(session, snapshot);
      return;
    }
  }

  async #readSnapshot(client: string, isKnown: boolean): Promise<Snapshot> {
    const { subscriber, options } = this.#parts;
    if (!isKnown) return emptySnapshot(subscriber.lastEndId);
    return await readSnapshot(client, this.#parts, options.maxEventBytes);
  }

  #createGroup(client: string): Entry {
    const group = new ClientGroup({
      onEndDelivered: (promptId) => {
        this.#deliveries.noteEnd(client, promptId);
      },
      onPictureDelivered: (line: EventLine) => {
        this.#deliveries.notePicture(client, line);
      },
      maxBacklogCharacters: this.#parts.options.limits.closeBytes,
    });
    const entry = { group, stop: this.#parts.subscriber.listenToClient(client, group) };
    this.#groups.set(client, entry);
    return entry;
  }

  #featuresFrame(): string {
    return frameText('feature_flags', this.#parts.options.features(), stringifyJson);
  }

  #close(session: SocketSession, client: string): void {
    this.#sessions.delete(session);
    this.#everyone.leave(session);
    const entry = this.#groups.get(client);
    if (entry === undefined) return;
    entry.group.leave(session);
    if (!entry.group.isEmpty) return;
    this.#groups.delete(client);
    entry.stop.then((stop) => {
      stop();
    }, noop);
  }
}

/** In order, and soon also when the peer does not answer. */
function closeSoon(session: SocketSession, code: number, reason: string): void {
  session.close(code, reason);
  setTimeout(() => {
    session.terminate();
  }, CLOSE_LIMIT_MS).unref();
}

function noop(): void {
  // Nothing to undo: the subscription never came about.
}

function toText(data: unknown): string {
  return Buffer.isBuffer(data) ? data.toString('utf8') : '';
}
