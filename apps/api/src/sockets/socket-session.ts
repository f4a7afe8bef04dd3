import type { Preview, ResultPicture } from '@tiercel/contracts';
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { drained } from '../http/answer.ts';
import { encodePicture, encodePreview } from './binary-frames.ts';
import type { SocketCounters } from './socket-counters.ts';

/** Unsent bytes at which a socket loses something (invariant 8). */
export interface BufferLimits {
  readonly previewBytes: number;
  readonly progressBytes: number;
  readonly closeBytes: number;
}

export interface SessionOptions {
  readonly limits: BufferLimits;
  /** Every socket is sent previews that nobody asked for, not only those that announced features. */
  readonly previewsAlways: boolean;
  /** A stored picture; undefined when it is gone. */
  readonly readPicture: (picture: ResultPicture) => Promise<Uint8Array | undefined>;
  readonly counters: SocketCounters;
}

/** WebSocket close code "try again later". */
const TRY_AGAIN_LATER = 1013;

/** What a picture that waits costs: its bytes are in storage. */
const PICTURE_REFERENCE_BYTES = 512;

/** What waits behind a picture that is on its way. */
type Waiting =
  | { readonly kind: 'text'; readonly frame: string | Buffer; readonly onFlushed?: () => void }
  | { readonly kind: 'picture'; readonly picture: ResultPicture; readonly onFlushed: () => void };

/**
 * One socket. A slow one loses previews first, then progress; everything else is queued for it, and
 * when even that is too much the socket is closed: its client comes back and learns what it missed.
 *
 * Pictures that are results are read from storage when the socket has taken what went before, one at a
 * time: none is dropped, and no more than one is in memory. Frames behind a picture wait for it.
 */
export class SocketSession {
  readonly #socket: WebSocket;
  readonly #connection: Duplex;
  readonly #options: SessionOptions;
  #wantsMetadata = false;
  #wantsReport = false;
  #wantsQueue = false;
  #hasAnnounced = false;
  #sawText = false;
  /** The newest preview while the socket may still announce that it reads them; until the next frame. */
  #earlyPreview: Preview | undefined;
  /** Undefined while no picture is on its way. */
  #waiting: Waiting[] | undefined;
  #waitingBytes = 0;
  /** False from a ping until its pong. */
  isAlive = true;

  /** @param connection what the socket writes to */
  constructor(socket: WebSocket, connection: Duplex, options: SessionOptions) {
    this.#socket = socket;
    this.#connection = connection;
    this.#options = options;
  }

  /** What `send` sends leaves in one write: each one by itself is a call to the operating system. */
  sendTogether(send: () => void): void {
    this.#connection.cork();
    try {
      send();
    } finally {
      this.#connection.uncork();
    }
  }

  get wantsMetadata(): boolean {
    return this.#wantsMetadata;
  }

  /** Whether it asked for `tiercel_report`; a stock client would log an unknown message. */
  get wantsReport(): boolean {
    return this.#wantsReport;
  }

  /** Whether it asked to be told where its jobs wait (`tiercel_queue`), and of what becomes of them before they end. */
  get wantsQueue(): boolean {
    return this.#wantsQueue;
  }

  get isOpen(): boolean {
    return this.#socket.readyState === this.#socket.OPEN;
  }

  /**
   * The handshake: the first text frame of a socket may announce the client's features, and only then
   * are ours told. Later ones are ignored; what is not JSON does not count as the first (wire 2.3).
   */
  readFrame(text: string, writeFeaturesFrame: () => string): void {
    if (this.#sawText) return;
    let message: unknown;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    this.#sawText = true;
    const early = this.#earlyPreview;
    this.#earlyPreview = undefined;
    if (!isFeatureFlags(message)) return;
    this.#hasAnnounced = true;
    this.#wantsMetadata = message.data.supports_preview_metadata === true;
    this.#wantsReport = message.data.supports_tiercel_report === true;
    this.#wantsQueue = message.data.supports_tiercel_queue === true;
    this.sendText(writeFeaturesFrame());
    if (early !== undefined) this.sendPreview(early);
  }

  /** @param onFlushed called when the frame has been handed to the operating system */
  sendText(frame: string | Buffer, onFlushed?: () => void): void {
    this.#earlyPreview = undefined;
    if (!this.isOpen) return;
    if (this.#unsentBytes > this.#options.limits.closeBytes) {
      this.#closeAsTooSlow();
    } else if (this.#waiting === undefined) {
      this.#sendNow(frame, onFlushed);
    } else {
      this.#waitingBytes += frame.length;
      this.#waiting.push({
        kind: 'text',
        frame,
        ...(onFlushed === undefined ? {} : { onFlushed }),
      });
    }
  }

  /** @returns false when the socket is too slow for what a later frame says again */
  sendProgress(frame: string): boolean {
    if (this.#unsentBytes > this.#options.limits.progressBytes) return false;
    this.sendText(frame);
    return true;
  }

  /** To who wants it; who has yet to say so is sent it with the answer to that, unless something came after it. */
  sendPreview(preview: Preview): void {
    if (!this.isOpen) return;
    const isWanted = preview.forAll || this.#hasAnnounced || this.#options.previewsAlways;
    if (!isWanted) {
      // A socket that comes back is sent where its job stands, perhaps before its announcement has arrived.
      if (!this.#sawText) this.#earlyPreview = preview;
      return;
    }
    const isRoomLeft = this.#socket.bufferedAmount <= this.#options.limits.previewBytes;
    if (!isRoomLeft || this.#waiting !== undefined) {
      this.#options.counters.previewDropped();
      return;
    }
    this.#socket.send(encodePreview(preview, this.#wantsMetadata), { binary: true });
  }

  /** @param onFlushed called when its bytes have been handed to the operating system */
  sendPicture(picture: ResultPicture, onFlushed: () => void): void {
    if (!this.isOpen) return;
    this.#waitingBytes += PICTURE_REFERENCE_BYTES;
    const waiting: Waiting = { kind: 'picture', picture, onFlushed };
    if (this.#waiting === undefined) {
      this.#waiting = [waiting];
      void this.#sendWaiting(this.#waiting);
    } else {
      this.#waiting.push(waiting);
    }
  }

  async #sendWaiting(waiting: Waiting[]): Promise<void> {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      if (next.kind === 'text') {
        this.#waitingBytes -= next.frame.length;
        this.#sendNow(next.frame, next.onFlushed);
        continue;
      }
      this.#waitingBytes -= PICTURE_REFERENCE_BYTES;
      await drained(this.#connection);
      const bytes = this.isOpen ? await this.#read(next.picture) : undefined;
      if (!this.isOpen) return;
      // A picture that is gone is told of by nothing else: whoever has lost its file has deleted it.
      const isFlushed = bytes === undefined || (await this.#sendPictureNow(next.picture, bytes));
      if (isFlushed) next.onFlushed();
    }
    this.#waiting = undefined;
  }

  async #read(picture: ResultPicture): Promise<Uint8Array | undefined> {
    try {
      return await this.#options.readPicture(picture);
    } catch {
      // Not this time: closed, so that its client comes back for it.
      this.close(TRY_AGAIN_LATER, 'a picture cannot be read now');
      return undefined;
    }
  }

  /** Resolves with whether the operating system has taken it. */
  #sendPictureNow(picture: ResultPicture, bytes: Uint8Array): Promise<boolean> {
    return new Promise((resolve) => {
      const onClose = () => {
        resolve(false);
      };
      this.#socket.once('close', onClose);
      const frame = encodePicture(picture, bytes, this.#wantsMetadata);
      this.#socket.send(frame, { binary: true }, (error) => {
        this.#socket.off('close', onClose);
        resolve(this.#hasLeft(error));
      });
    });
  }

  #sendNow(frame: string | Buffer, onFlushed: (() => void) | undefined): void {
    this.#socket.send(frame, { binary: false }, (error) => {
      if (this.#hasLeft(error)) onFlushed?.();
    });
  }

  /**
   * Whether the operating system has taken a frame. Of the one that it was taking when the connection broke, Node
   * reports no error.
   * @param error null or undefined when ws says that all went well
   */
  #hasLeft(error: Error | null | undefined): boolean {
    return !error && !this.#connection.destroyed;
  }

  /** Without the picture that is on its way: however large it is, it is the only one. */
  get #unsentBytes(): number {
    return this.#waiting === undefined ? this.#socket.bufferedAmount : this.#waitingBytes;
  }

  #closeAsTooSlow(): void {
    this.#options.counters.slowClosed('socket');
    this.#socket.close(TRY_AGAIN_LATER, 'too slow');
    // The close frame queues behind the rest: a peer that reads nothing must go all the same.
    this.#socket.terminate();
  }

  ping(): void {
    if (!this.isAlive) {
      this.#socket.terminate();
      return;
    }
    this.isAlive = false;
    if (this.isOpen) this.#socket.ping();
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, reason);
  }

  terminate(): void {
    this.#socket.terminate();
  }
}

function isFeatureFlags(message: unknown): message is {
  type: string;
  data: {
    supports_preview_metadata?: unknown;
    supports_tiercel_report?: unknown;
    supports_tiercel_queue?: unknown;
  };
} {
  if (typeof message !== 'object' || message === null) return false;
  const { type, data } = message as { type?: unknown; data?: unknown };
  return type === 'feature_flags' && typeof data === 'object' && data !== null;
}
