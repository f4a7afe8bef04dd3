import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import {
  AppError,
  frameText,
  stringifyJson,
  type EventMessage,
  type Preview,
} from '@tiercel/contracts';
import type { ChannelListener, EventReplay, EventSubscriber } from '@tiercel/events';
import type { Reader } from '@tiercel/queue';
import type { Logger } from '@tiercel/runtime';
import { v4 as uuid } from 'uuid';
import { WebSocketServer, type WebSocket } from 'ws';
import { answerRaw } from '../http/raw-answer.ts';
import { ClientGroup } from './client-group.ts';
import { isProgressFrame, sendFrames } from './job-frames.ts';
import { readSnapshot } from './snapshot.ts';
import { SocketSession, type BufferLimits } from './socket-session.ts';
import { StatusBroadcaster, statusFrame } from './status-broadcaster.ts';

export interface SocketHubOptions {
  readonly maxSockets: number;
  readonly pingIntervalMs: number;
  readonly statusIntervalMs: number;
  readonly limits: BufferLimits;
  /** What the server can do; told to sockets that say first what they can. */
  readonly features: () => Readonly<Record<string, unknown>>;
}

/** Frames a client sends are small: feature flags, nothing else. */
const MAX_CLIENT_FRAME_BYTES = 256 * 1024;
const MAX_CLIENT_ID_LENGTH = 1_024;
const GOING_AWAY = 1001;

/** The WebSocket side of the API: who is connected, and what each of them hears. */
export class SocketHub {
  readonly #server: WebSocketServer;
  readonly #subscriber: EventSubscriber;
  readonly #replay: EventReplay;
  readonly #reader: Reader;
  readonly #options: SocketHubOptions;
  readonly #log: Logger;
  readonly #sessions = new Set<SocketSession>();
  readonly #groups = new Map<string, { group: ClientGroup; stop: Promise<() => void> }>();
  readonly #status: StatusBroadcaster<SocketSession>;
  readonly #delivered = new Map<string, Set<string>>();
  #pinger: NodeJS.Timeout | undefined;
  #isAcknowledging = false;
  #isStopping = false;

  constructor(dependencies: {
    subscriber: EventSubscriber;
    replay: EventReplay;
    reader: Reader;
    options: SocketHubOptions;
    log: Logger;
  }) {
    this.#subscriber = dependencies.subscriber;
    this.#replay = dependencies.replay;
    this.#reader = dependencies.reader;
    this.#options = dependencies.options;
    this.#log = dependencies.log;
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
      intervalMs: this.#options.statusIntervalMs,
      sockets: () => this.#sessions,
      send: (session, frame) => {
        session.sendText(frame);
      },
    });
  }

  get socketCount(): number {
    return this.#sessions.size;
  }

  async start(): Promise<void> {
    await this.#subscriber.onStatus((remaining) => {
      this.#status.update(remaining);
    });
    await this.#subscriber.listenToEveryone(this.#everyone());
    this.#pinger = setInterval(() => {
      for (const session of this.#sessions) session.ping();
    }, this.#options.pingIntervalMs);
    await this.refreshStatus();
  }

  /** Reads the number of jobs anew: at the start, and when Redis is back after an outage. */
  async refreshStatus(): Promise<void> {
    this.#status.update(await this.#reader.countRemaining());
  }

  /** Closes every socket; clients reconnect to another process. */
  stop(): void {
    this.#isStopping = true;
    clearInterval(this.#pinger);
    this.#status.stop();
    for (const session of this.#sessions) {
      session.close(GOING_AWAY, 'server is stopping');
      setTimeout(() => {
        session.terminate();
      }, 500).unref();
    }
  }

  /** Why no socket with this id is taken now; undefined: it is. */
  findRefusal(clientId: string | null): AppError | undefined {
    if (this.#isStopping || this.#sessions.size >= this.#options.maxSockets) {
      const why = this.#isStopping ? 'This server is stopping.' : 'Too many sockets are open.';
      return new AppError('too_many_sockets', why, { retryAfterSeconds: 5 });
    }
    if ((clientId ?? '').length > MAX_CLIENT_ID_LENGTH) {
      const limit = `clientId is longer than ${MAX_CLIENT_ID_LENGTH} characters.`;
      return new AppError('bad_request', limit);
    }
    return undefined;
  }

  /** An upgrade request for /ws that was not refused. */
  handleUpgrade(req: IncomingMessage, socket: Duplex, head: Buffer, clientId: string | null): void {
    const { limits } = this.#options;
    this.#server.handleUpgrade(req, socket, head, (webSocket) => {
      const isKnown = clientId !== null && clientId !== '';
      // A fresh id is 32 hex digits without dashes, as ComfyUI's.
      const id = isKnown ? clientId : uuid().replaceAll('-', '');
      const session = new SocketSession(webSocket, socket, { clientId: id, limits });
      this.#open(webSocket, session, isKnown);
    });
  }

  #open(webSocket: WebSocket, session: SocketSession, isKnown: boolean): void {
    const { clientId } = session;
    this.#sessions.add(session);
    webSocket.on('pong', () => {
      session.isAlive = true;
    });
    webSocket.on('message', (data, isBinary) => {
      session.isAlive = true;
      if (!isBinary) session.readFrame(toText(data), () => this.#featuresFrame());
    });
    webSocket.on('error', (error) => {
      this.#log.debug({ err: error, clientId }, 'socket error');
    });
    webSocket.on('close', () => {
      this.#close(session);
    });
    session.sendText(statusFrame(this.#status.latest, clientId));
    this.#join(session, isKnown).catch((error: unknown) => {
      // Without its subscription the socket would be deaf: let the client try again.
      this.#log.warn({ err: error, clientId }, 'socket could not be joined to its client');
      session.close(1011, 'try again');
    });
  }

  async #join(session: SocketSession, isKnown: boolean): Promise<void> {
    const { clientId } = session;
    let entry = this.#groups.get(clientId);
    if (entry === undefined) {
      const group = new ClientGroup((promptId) => {
        this.#markDelivered(clientId, promptId);
      });
      entry = { group, stop: this.#subscriber.listenToClient(clientId, group) };
      this.#groups.set(clientId, entry);
    }
    entry.group.join(session);
    // First listen, then look: nothing falls between.
    await entry.stop;
    const snapshot = isKnown
      ? await readSnapshot(clientId, this.#reader, this.#replay)
      : { running: [], ended: [] };
    entry.group.catchUp(session, snapshot);
  }

  #featuresFrame(): string {
    return frameText('feature_flags', this.#options.features(), stringifyJson);
  }

  #close(session: SocketSession): void {
    this.#sessions.delete(session);
    const entry = this.#groups.get(session.clientId);
    if (entry === undefined) return;
    entry.group.leave(session);
    if (!entry.group.isEmpty) return;
    this.#groups.delete(session.clientId);
    entry.stop.then((stop) => {
      stop();
    }, noop);
  }

  /** Jobs without a client: their progress goes to every socket. */
  #everyone(): ChannelListener {
    const previews = new Map<string, Preview>();
    return {
      onPreview: (preview) => {
        previews.set(preview.promptId, preview);
      },
      onEvents: (message: EventMessage) => {
        const preview = previews.get(message.promptId);
        previews.delete(message.promptId);
        const hasProgress = message.lines.some((line) => isProgressFrame(line.frame));
        for (const session of this.#sessions) {
          sendFrames(session, message.lines, hasProgress ? preview : undefined);
        }
      },
    };
  }

  /** Collects what has reached its client, and says so to Redis once per turn of the event loop. */
  #markDelivered(clientId: string, promptId: string): void {
    const ids = this.#delivered.get(clientId) ?? new Set();
    this.#delivered.set(clientId, ids.add(promptId));
    if (this.#isAcknowledging) return;
    this.#isAcknowledging = true;
    setImmediate(() => {
      this.#isAcknowledging = false;
      for (const [client, promptIds] of this.#delivered) {
        this.#replay.acknowledge(client, [...promptIds]).catch((error: unknown) => {
          this.#log.debug({ err: error }, 'delivery not noted: the end may be told twice');
        });
      }
      this.#delivered.clear();
    });
  }
}

function noop(): void {
  // Nothing to undo: the subscription never came about.
}

function toText(data: unknown): string {
  return Buffer.isBuffer(data) ? data.toString('utf8') : '';
}
