import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import {
  AppError,
  clientKeyOf,
  DEFAULT_TENANT,
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
import type { JobEstimates } from '../job-estimates.ts';
import { ClientGroup } from './client-group.ts';
import { GapRepair } from './gap-repair.ts';
import { QueueMessages } from './queue-messages.ts';
import { emptySnapshot, readSnapshot, type Snapshot } from './snapshot.ts';
import type { SocketCounters } from './socket-counters.ts';
import { SocketSession, type BufferLimits } from './socket-session.ts';
import { TenantRoom } from './tenant-room.ts';

interface SocketHubOptions {
  readonly maxSockets: number;
  readonly pingIntervalMs: number;
  readonly statusIntervalMs: () => number;
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
  readonly estimates: Pick<JobEstimates, 'of'>;
  /** A stored picture of a tenant; undefined when it is gone. */
  readonly readPicture: (picture: ResultPicture, tenant: string) => Promise<Uint8Array | undefined>;
  readonly counters: SocketCounters;
  readonly options: SocketHubOptions;
  readonly log: Logger;
}

/** Who has opened a socket. */
export interface SocketOwner {
  readonly tenant: string;
  /** Is told how to close the socket when its caller may no longer have it, and tells whom to tell of its end. */
  readonly hold?: (close: () => void) => () => void;
}

interface NewSocket {
  readonly tenant: string;
  readonly id: string;
  /** False for an id that the server has made. */
  readonly isKnown: boolean;
}

/** The client of a socket; `id` as keyText writes it. */
type Client = NewSocket;

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
  readonly #sessions = new Set<SocketSession>();
  /** By clientKeyOf. */
  readonly #groups = new Map<string, Entry>();
  /** By tenant. That of DEFAULT_TENANT is always there. */
  readonly #rooms = new Map<string, TenantRoom>();
  readonly #queueMessages: QueueMessages;
  #pinger: NodeJS.Timeout | undefined;
  #isStopping = false;

  constructor(parts: SocketHubParts) {
    this.#parts = parts;
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
    this.#rooms.set(DEFAULT_TENANT, this.#createRoom(DEFAULT_TENANT));
    this.#queueMessages = new QueueMessages(parts);
  }

  get socketCount(): number {
    return this.#sessions.size;
  }

  async start(): Promise<void> {
    const { subscriber, options } = this.#parts;
    const { reader, replay, counters, log } = this.#parts;
    await subscriber.onStatus((remaining, tenant) => {
      this.#rooms.get(tenant)?.status.update(remaining);
    });
    await this.#rooms.get(DEFAULT_TENANT)?.listen();
    subscriber.onGap(
      new GapRepair({
        ...{ subscriber, reader, replay, counters, log },
        groups: this.#groups,
        everyone: this.#rooms,
        maxEventBytes: options.maxEventBytes,
        refreshStatus: () => this.#refreshStatus(),
      }),
    );
    this.#pinger = startInterval(() => {
      for (const session of this.#sessions) session.ping();
    }, options.pingIntervalMs);
    await this.#refreshStatus();
  }

  /** Reads the numbers of jobs anew: they may have changed during a gap. */
  async #refreshStatus(): Promise<void> {
    await Promise.all([...this.#rooms.values()].map((room) => room.readStatus()));
  }

  #createRoom(tenant: string): TenantRoom {
    const { options } = this.#parts;
    return new TenantRoom(tenant, {
      ...this.#parts,
      statusIntervalMs: options.statusIntervalMs,
      maxBacklogCharacters: options.limits.closeBytes,
    });
  }

  /** The room of a tenant, which is new when no socket of it is open. */
  #roomOf(tenant: string): TenantRoom {
    let room = this.#rooms.get(tenant);
    if (room === undefined) {
      room = this.#createRoom(tenant);
      this.#rooms.set(tenant, room);
    }
    return room;
  }

  /** Closes every socket; clients reconnect to another process. */
  stop(): void {
    this.#isStopping = true;
    clearInterval(this.#pinger);
    this.#queueMessages.stop();
    for (const room of this.#rooms.values()) room.status.stop();
    for (const session of this.#sessions) {
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
   */
  handleUpgrade(
    req: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    clientId: string | null,
    { tenant, hold }: SocketOwner = { tenant: DEFAULT_TENANT },
  ): void {
    const { options, readPicture, counters } = this.#parts;
    this.#server.handleUpgrade(req, socket, head, (webSocket) => {
      const isKnown = clientId !== null && clientId !== '';
      // A fresh id is 32 hex digits without dashes, as ComfyUI's.
      const id = isKnown ? clientId : uuid().replaceAll('-', '');
      const { limits, previewsAlways } = options;
      const session = new SocketSession(webSocket, socket, {
        ...{ limits, previewsAlways, counters },
        readPicture: (picture) => readPicture(picture, tenant),
      });
      this.#open(webSocket, session, { tenant, id, isKnown });
      if (hold === undefined) return;
      const release = hold(() => {
        closeSoon(session, POLICY_VIOLATION, 'who opened this may no longer have it');
      });
      webSocket.on('close', release);
    });
  }

  #open(webSocket: WebSocket, session: SocketSession, { tenant, id, isKnown }: NewSocket): void {
    const { log } = this.#parts;
    const client = { tenant, id: keyText(id), isKnown };
    const room = this.#roomOf(tenant);
    this.#sessions.add(session);
    room.enter(session);
    webSocket.on('pong', () => {
      session.isAlive = true;
    });
    let stopQueueMessages: (() => void) | undefined;
    webSocket.on('message', (data, isBinary) => {
      session.isAlive = true;
      if (isBinary) return;
      session.readFrame(toText(data), () => this.#featuresFrame());
      if (session.wantsQueue) stopQueueMessages ??= this.#queueMessages.add(session, client);
    });
    webSocket.on('error', (error) => {
      log.debug({ err: error, client: client.id }, 'socket error');
    });
    webSocket.on('close', () => {
      stopQueueMessages?.();
      this.#close(session, room, client);
    });
    this.#begin(session, room, { ...client, sid: id }).catch((error: unknown) => {
      // Without its subscription the socket would be deaf: let the client try again.
      log.warn({ err: error, client: client.id }, 'socket could not be joined to its client');
      session.close(1011, 'try again');
    });
  }

  async #begin(
    session: SocketSession,
    room: TenantRoom,
    client: Client & { readonly sid: string },
  ): Promise<void> {
    if (!room.isListening) {
      await room.listen();
      if (!this.#sessions.has(session)) return;
    }
    room.serve(session, client.sid);
    await this.#join(session, room, client);
  }

  async #join(session: SocketSession, room: TenantRoom, client: Client): Promise<void> {
    const { subscriber } = this.#parts;
    const entry = this.#groups.get(keyOf(client)) ?? this.#createGroup(room, client);
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
      const snapshot = await this.#readSnapshot(room, client);
      if (!subscriber.isWhole || gaps !== subscriber.gaps) continue;
      entry.group.catchUp(session, snapshot);
      return;
    }
  }

  async #readSnapshot(room: TenantRoom, { id, isKnown }: Client): Promise<Snapshot> {
    const { subscriber, options } = this.#parts;
    if (!isKnown) return emptySnapshot(subscriber.lastEndId);
    return await readSnapshot(id, room, options.maxEventBytes);
  }

  #createGroup({ deliveries }: TenantRoom, client: Client): Entry {
    const { id, tenant } = client;
    const group = new ClientGroup({
      onEndDelivered: (promptId) => {
        deliveries.noteEnd(id, promptId);
      },
      onPictureDelivered: (line: EventLine) => {
        deliveries.notePicture(id, line);
      },
      maxBacklogCharacters: this.#parts.options.limits.closeBytes,
    });
    const entry = { group, stop: this.#parts.subscriber.listenToClient(id, group, tenant) };
    this.#groups.set(keyOf(client), entry);
    return entry;
  }

  #featuresFrame(): string {
    return frameText('feature_flags', this.#parts.options.features(), stringifyJson);
  }

  #close(session: SocketSession, room: TenantRoom, client: Client): void {
    this.#sessions.delete(session);
    room.leave(session);
    if (room.isEmpty && client.tenant !== DEFAULT_TENANT) {
      this.#rooms.delete(client.tenant);
      room.stop();
    }
    const entry = this.#groups.get(keyOf(client));
    if (entry === undefined) return;
    entry.group.leave(session);
    if (!entry.group.isEmpty) return;
    this.#groups.delete(keyOf(client));
    entry.stop.then((stop) => {
      stop();
    }, noop);
  }
}

function keyOf({ tenant, id }: Client): string {
  return clientKeyOf(tenant, id);
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
