import { randomUUID } from 'node:crypto';
import type { Logger } from '@tiercel/runtime';
import { ComfySocket, type ComfySocketListener, type FrameListener } from './comfy-socket.ts';
import type { ComfyMessage } from './socket-frames.ts';

const PING_MS = 5_000;
const SILENCE_MS = 15_000;

export interface ServerSocketsOptions {
  /** May hold credentials. */
  readonly address: string;
  /** Unique per worker process: frames come to this client id, or to one that begins with it. */
  readonly clientId: string;
  readonly log: Logger;
  /** Called for each socket that receives frames of our prompts. */
  readonly createListener: () => FrameListener;
  /** A text frame that the server sent to everybody. */
  readonly onBroadcast: (message: ComfyMessage) => void;
  /** Whether broadcasts are received from now on. */
  readonly onBroadcastsReceived: (isReceived: boolean) => void;
  /** The socket of this worker's own prompts is there (again). */
  readonly onOpen: () => void;
  /** The socket of this worker's own prompts is lost. */
  readonly onLost: () => void;
  /** Another socket was lost or is there again: frames may have been missed. */
  readonly onGap: () => void;
}

/**
 * The sockets of one worker to one server. ComfyUI sends what a prompt tells to the client id that it was submitted
 * with, so whoever goes on with a prompt of another worker listens under that worker's client id, too.
 */
export class ServerSockets {
  readonly #options: ServerSocketsOptions;
  #clientId: string;
  #own: ComfySocket;
  /** Under the client id that was left last. */
  #retired: ComfySocket | undefined;
  /** Receives only what is sent to everybody; opened second, so that whoever sees it knows the first is there. */
  #broadcasts: ComfySocket | undefined;
  /**
   * Under client ids of workers that are gone, or were taken for gone. One for each id, however many of its prompts
   * are taken over: a second one would take the first one's frames.
   */
  readonly #adopted = new Map<string, { readonly socket: ComfySocket; holders: number }>();
  #isClosed = false;

  constructor(options: ServerSocketsOptions) {
    this.#options = options;
    this.#clientId = options.clientId;
    this.#own = this.#connectOwn();
  }

  /** Where frames of prompts sent from now on come to. */
  get clientId(): string {
    return this.#clientId;
  }

  /**
   * Somebody else goes on with a prompt of this client id, or has done so, and listens under it: ComfyUI sends the
   * frames to the socket that came last, and to none when that one goes (wire 2.5). If the id is this
   * worker's own, it leaves it to them and takes another. A socket of an id that was left before that is
   * closed.
   */
  leaveClientId(clientId: string | undefined): void {
    if (clientId !== this.#clientId || this.#isClosed) return;
    void this.#retired?.close();
    this.#retired = this.#own;
    this.#retired.retire();
    this.#clientId = `${this.#options.clientId}-${randomUUID()}`;
    this.#own = this.#connectOwn();
  }

  /** Makes a new connection for this worker's own prompts. */
  renewOwn(): void {
    this.#own.renew();
  }

  /** Listens under another worker's client id until what is returned is called. */
  adopt(clientId: string): () => void {
    const { createListener, onGap } = this.#options;
    const connect = () => this.#connect(clientId, { ...createListener(), onOpen: onGap, onGap });
    const adopted = this.#adopted.get(clientId) ?? { socket: connect(), holders: 0 };
    adopted.holders += 1;
    this.#adopted.set(clientId, adopted);
    return () => {
      adopted.holders -= 1;
      if (adopted.holders > 0) return;
      this.#adopted.delete(clientId);
      void adopted.socket.close();
    };
  }

  /**
   * It says nothing. When the worker that is gone had not quite left, its goodbye came after our hello, and
   * ComfyUI has forgotten us with it (wire 2.5).
   */
  renewAdopted(clientId: string): void {
    this.#adopted.get(clientId)?.socket.renew();
  }

  close(): void {
    this.#isClosed = true;
    const adopted = [...this.#adopted.values()].map(({ socket }) => socket);
    this.#adopted.clear();
    for (const socket of [this.#own, this.#retired, ...adopted, this.#broadcasts]) {
      void socket?.close();
    }
  }

  #connectOwn(): ComfySocket {
    const { createListener, onOpen, onLost, onGap } = this.#options;
    const id = this.#clientId;
    return this.#connect(id, {
      ...createListener(),
      onOpen: () => {
        onOpen();
        this.#broadcasts ??= this.#connectBroadcasts();
      },
      onGap: () => {
        // Of an id that was left, it says nothing of the server.
        if (id === this.#clientId) onLost();
        else onGap();
      },
    });
  }

  #connectBroadcasts(): ComfySocket {
    const { clientId, onBroadcast, onBroadcastsReceived } = this.#options;
    return this.#connect(`${clientId}-all`, {
      onOpen: () => {
        onBroadcastsReceived(true);
      },
      onGap: () => {
        onBroadcastsReceived(false);
      },
      onMessage: onBroadcast,
      onPreview: () => undefined,
      onText: () => undefined,
      onGarbage: () => undefined,
    });
  }

  #connect(clientId: string, listener: ComfySocketListener): ComfySocket {
    const { address, log } = this.#options;
    return new ComfySocket({
      ...{ baseUrl: address, clientId, log, listener },
      ...{ pingIntervalMs: PING_MS, silenceMs: SILENCE_MS },
    });
  }
}

/** Receives the frames of one prompt, wherever they come to. */
export class FrameSubscription {
  readonly #sockets: ServerSockets;
  readonly #clientId: string | undefined;
  #release: (() => void) | undefined;

  /** @param clientId that the prompt was submitted with; undefined when nobody knows */
  constructor(sockets: ServerSockets, clientId: string | undefined) {
    this.#sockets = sockets;
    this.#clientId = clientId;
    if (clientId !== undefined && !this.#isOwn) this.#release = sockets.adopt(clientId);
  }

  /**
   * The server knew of the prompt's end before its frames came: it may have forgotten the socket (wire 2.5).
   */
  noteMissedEnd(): void {
    if (this.#isOwn) this.#sockets.renewOwn();
  }

  /** The prompt is there, and nothing has been received of it for a while. */
  noteSilence(): void {
    if (this.#clientId === undefined || this.#isOwn) return;
    // This worker has left the id meanwhile, for the sake of another prompt.
    if (this.#release === undefined) this.#release = this.#sockets.adopt(this.#clientId);
    else this.#sockets.renewAdopted(this.#clientId);
  }

  close(): void {
    this.#release?.();
  }

  get #isOwn(): boolean {
    return this.#clientId === this.#sockets.clientId;
  }
}
