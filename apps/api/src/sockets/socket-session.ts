import type { Preview } from '@tiercel/contracts';
import type { Writable } from 'node:stream';
import type { WebSocket } from 'ws';
import { encodePreview } from './binary-frames.ts';

/** Unsent bytes at which a socket loses something (invariant 8). */
export interface BufferLimits {
  readonly previewBytes: number;
  readonly progressBytes: number;
  readonly closeBytes: number;
}

/** WebSocket close code "try again later". */
const TRY_AGAIN_LATER = 1013;

/**
 * One socket. A slow one loses previews first, then progress; everything else is queued for it, and
 * when even that is too much the socket is closed: its client comes back and learns what it missed.
 */
export class SocketSession {
  readonly clientId: string;
  readonly #socket: WebSocket;
  readonly #connection: Pick<Writable, 'cork' | 'uncork'>;
  readonly #limits: BufferLimits;
  #wantsMetadata = false;
  #wantsReport = false;
  #sawText = false;
  /** False from a ping until its pong. */
  isAlive = true;

  /** @param connection what the socket writes to */
  constructor(
    socket: WebSocket,
    connection: Pick<Writable, 'cork' | 'uncork'>,
    options: { readonly clientId: string; readonly limits: BufferLimits },
  ) {
    this.#socket = socket;
    this.#connection = connection;
    this.clientId = options.clientId;
    this.#limits = options.limits;
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

  get isOpen(): boolean {
    return this.#socket.readyState === this.#socket.OPEN;
  }

  /**
   * The handshake: the first text frame of a socket may announce the client's features, and only then
   * are ours told. Later ones are ignored; what is not JSON does not count as the first (transcript 12).
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
    if (!isFeatureFlags(message)) return;
    this.#wantsMetadata = message.data.supports_preview_metadata === true;
    this.#wantsReport = message.data.supports_tiercel_report === true;
    this.sendText(writeFeaturesFrame());
  }

  /** @param onFlushed called when the frame has been handed to the operating system */
  sendText(frame: string | Buffer, onFlushed?: () => void): void {
    if (!this.isOpen) return;
    if (this.#socket.bufferedAmount > this.#limits.closeBytes) {
      this.#socket.close(TRY_AGAIN_LATER, 'too slow');
      // The close frame queues behind the rest: a peer that reads nothing must go all the same.
      this.#socket.terminate();
      return;
    }
    this.#socket.send(frame, { binary: false }, (error) => {
      // ws passes null or undefined when all went well.
      if (!error) onFlushed?.();
    });
  }

  sendProgress(frame: string): void {
    if (this.#socket.bufferedAmount <= this.#limits.progressBytes) this.sendText(frame);
  }

  sendPreview(preview: Preview): void {
    if (!this.isOpen || this.#socket.bufferedAmount > this.#limits.previewBytes) return;
    this.#socket.send(encodePreview(preview, this.#wantsMetadata), { binary: true });
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
  data: { supports_preview_metadata?: unknown; supports_tiercel_report?: unknown };
} {
  if (typeof message !== 'object' || message === null) return false;
  const { type, data } = message as { type?: unknown; data?: unknown };
  return type === 'feature_flags' && typeof data === 'object' && data !== null;
}
