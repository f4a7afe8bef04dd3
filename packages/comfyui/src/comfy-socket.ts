import { WebSocket } from 'ws';
import { isJsonObject } from '@tiercel/contracts';
import { type Logger, startInterval, startTimer } from '@tiercel/runtime';
import { parseServerAddress, type ServerAddress } from './server-address.ts';
import {
  type ComfyFrame,
  type ComfyMessage,
  type ComfyPreview,
  FrameReader,
} from './socket-frames.ts';

/** Receives the frames of a socket, in the order of arrival. What a method throws is logged and goes no further. */
export interface FrameListener {
  onMessage(message: ComfyMessage): void;
  onPreview(preview: ComfyPreview): void;
  /** A frame came that could not be read. */
  onGarbage(): void;
  onText(text: { readonly nodeId: string; readonly text: string }): void;
}

/** Is told of the connection, too. */
export interface ComfySocketListener extends FrameListener {
  /** The server has registered us: what a prompt submitted from now on sends will arrive. */
  onOpen(isReconnect: boolean): void;
  /** The connection is lost, and frames with it: whoever waits must read the truth again after onOpen. */
  onGap(): void;
}

export interface ComfySocketOptions {
  readonly baseUrl: string;
  /** Ours alone on that server: a second socket with it would take the frames. */
  readonly clientId: string;
  readonly log: Logger;
  readonly listener: ComfySocketListener;
  readonly pingIntervalMs: number;
  /** A peer that has answered nothing for so long is gone, and so is one that takes so long to let us in. */
  readonly silenceMs: number;
}

const FIRST_FRAME = '{"type":"feature_flags","data":{"supports_preview_metadata":true}}';
const MIN_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 2_000;
const MAX_FRAME_BYTES = 128 * 1024 * 1024;
/** For the peer to say goodbye; then the connection is cut. */
const GOODBYE_MS = 1_000;

/**
 * One worker's WebSocket to one ComfyUI server, held open for ever: it connects when made, and again after
 * a loss, until `close`.
 *
 * A connection counts as open when its first `status` with a `sid` has come, not at the handshake: only
 * then has ComfyUI registered the client id. The count of unanswered pings, not a clock, tells a half-open
 * connection, so that a process which stood still for a while does not blame the server for it.
 *
 * ComfyUI's fault (wire 2.5): when it notices the end of an old socket of ours only after a new one is
 * there, it forgets the new one, which goes on answering pings and gets no frames. Nobody can see that
 * from the socket. Who learns by other means that frames are missing calls `renew`.
 */
export class ComfySocket {
  readonly #options: ComfySocketOptions;
  readonly #server: ServerAddress;
  #socket: WebSocket | undefined;
  #retry: NodeJS.Timeout | undefined;
  #heartbeat: NodeJS.Timeout | undefined;
  #closing: Promise<void> | undefined;
  #unanswered = 0;
  #beats = 0;
  #failures = 0;
  #garbage = 0;
  #isOpen = false;
  #wasOpen = false;
  #isRetired = false;

  /** @throws TypeError when `baseUrl` is no http(s) URL */
  constructor(options: ComfySocketOptions) {
    this.#options = options;
    this.#server = parseServerAddress(options.baseUrl);
    this.#connect();
  }

  /** Whether frames can arrive now. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Frames that could not be read, since the start. */
  get garbageCount(): number {
    return this.#garbage;
  }

  /**
   * Its client id is left to others: it receives on while the present connection lasts, and does not connect again.
   * Nor does it end the connection by itself, as ComfyUI would then forget who listens under the id now.
   */
  retire(): void {
    this.#isRetired = true;
    clearTimeout(this.#retry);
  }

  /** Leaves the present connection for a new one; onGap and onOpen follow as after a loss. */
  renew(): void {
    if (this.#socket !== undefined) endSocket(this.#socket);
  }

  /** Ends it for good; nobody is told anything more. Resolves when the connection has ended. */
  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    clearTimeout(this.#retry);
    clearInterval(this.#heartbeat);
    this.#isOpen = false;
    const socket = this.#socket;
    if (socket === undefined) return;
    const ended = new Promise<void>((resolve) => {
      socket.once('close', () => {
        resolve();
      });
    });
    endSocket(socket);
    await ended;
  }

  #connect(): void {
    const socket = new WebSocket(this.#server.socketUrl(this.#options.clientId), {
      headers: this.#server.headers,
      handshakeTimeout: this.#options.silenceMs,
      maxPayload: MAX_FRAME_BYTES,
      perMessageDeflate: false,
      followRedirects: false,
      // Text that is not UTF-8 costs its frame, not the connection.
      skipUTF8Validation: true,
    });
    this.#socket = socket;
    this.#unanswered = 0;
    this.#beats = 0;
    const reader = new FrameReader();
    const onSign = (): void => {
      this.#unanswered = 0;
    };
    socket.on('open', () => {
      socket.send(FIRST_FRAME);
      this.#heartbeat = startInterval(() => {
        this.#beat(socket);
      }, this.#options.pingIntervalMs);
    });
    socket.on('pong', onSign);
    socket.on('ping', onSign);
    socket.on('message', (frame: Buffer, isBinary: boolean) => {
      onSign();
      if (this.#closing !== undefined) return;
      this.#take(reader.read(frame, isBinary));
    });
    let problem: Error | undefined;
    socket.on('error', (error) => {
      problem = error; // `close` follows
    });
    socket.on('close', (code: number) => {
      clearInterval(this.#heartbeat);
      this.#socket = undefined;
      if (this.#closing === undefined) this.#lose(code, problem);
    });
  }

  #beat(socket: WebSocket): void {
    const { pingIntervalMs, silenceMs, log } = this.#options;
    this.#beats += 1;
    const isLockedOut = !this.#isOpen && this.#beats * pingIntervalMs > silenceMs;
    if (isLockedOut || this.#unanswered * pingIntervalMs >= silenceMs) {
      log.warn({ host: this.#server.host, silenceMs }, 'ComfyUI server has fallen silent');
      socket.terminate();
      return;
    }
    this.#unanswered += 1;
    if (socket.readyState === WebSocket.OPEN) socket.ping();
  }

  #lose(code: number, problem: Error | undefined): void {
    const { log, listener } = this.#options;
    const details = { host: this.#server.host, code, reason: problem?.message };
    if (this.#isOpen) log.warn(details, 'connection to ComfyUI server lost');
    else if (this.#failures === 0) log.warn(details, 'ComfyUI server cannot be connected');
    else log.debug(details, 'ComfyUI server cannot be connected');
    if (!this.#isRetired) this.#connectLater();
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#tell(() => {
      listener.onGap();
    });
  }

  #connectLater(): void {
    const delayMs = Math.min(MAX_BACKOFF_MS, MIN_BACKOFF_MS * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 10);
    // Half of it by chance: the sockets of many workers do not come back in step.
    this.#retry = startTimer(
      () => {
        this.#connect();
      },
      delayMs * (0.5 + Math.random() / 2),
    );
  }

  #take(frame: ComfyFrame): void {
    const { listener } = this.#options;
    switch (frame.kind) {
      case 'message': {
        const { type, data } = frame.message;
        if (!this.#isOpen && type === 'status' && isJsonObject(data) && data.sid !== undefined) {
          this.#welcome();
        }
        this.#tell(() => {
          listener.onMessage(frame.message);
        });
        return;
      }
      case 'preview':
        this.#tell(() => {
          listener.onPreview(frame.preview);
        });
        return;
      case 'text': {
        const { nodeId, text } = frame;
        this.#tell(() => {
          listener.onText({ nodeId, text });
        });
        return;
      }
      case 'unknown':
        return;
      case 'garbage':
        this.#countGarbage();
        this.#tell(() => {
          listener.onGarbage();
        });
    }
  }

  #welcome(): void {
    const { log, listener } = this.#options;
    const isReconnect = this.#wasOpen;
    this.#isOpen = true;
    this.#wasOpen = true;
    this.#failures = 0;
    log.info({ host: this.#server.host, isReconnect }, 'connected to ComfyUI server');
    this.#tell(() => {
      listener.onOpen(isReconnect);
    });
  }

  #countGarbage(): void {
    this.#garbage += 1;
    if (this.#garbage > 1) return; // once is enough to make someone look
    this.#options.log.warn({ host: this.#server.host }, 'ComfyUI server sent an unreadable frame');
  }

  /** What a listener throws must not end the connection, let alone the process. */
  #tell(call: () => void): void {
    if (this.#closing !== undefined) return;
    try {
      call();
    } catch (error) {
      this.#options.log.error({ host: this.#server.host, err: error }, 'socket listener failed');
    }
  }
}

/** Says goodbye, so that the server forgets the old socket before a new one comes; cuts if it does not. */
function endSocket(socket: WebSocket): void {
  if (socket.readyState === WebSocket.CONNECTING) {
    socket.terminate();
    return;
  }
  socket.close();
  const cut = setTimeout(() => {
    socket.terminate();
  }, GOODBYE_MS);
  socket.once('close', () => {
    clearTimeout(cut);
  });
}
