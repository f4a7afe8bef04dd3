import { WebSocket } from 'ws';
import { onStopEverything } from './cleanup.ts';
import { decodeFrame, type Frame, type TextFrame } from './frames.ts';

export interface SocketOptions {
  readonly clientId?: string;
  /** Sent as the first frame, as ComfyUI's frontend does; default: none is sent. */
  readonly featureFlags?: Readonly<Record<string, unknown>>;
  /** Default `/ws`. */
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface EventRecorder {
  /** Every message so far, in the order of arrival. */
  readonly frames: readonly Frame[];
  /** The text messages so far, of one type or all. */
  textFrames(type?: string): TextFrame[];
  /**
   * The first frame that fits, among those recorded already or still to come.
   * @throws Error after `timeoutMs` (default 10 s) or when the socket closes before, listing what came
   */
  waitFor(predicate: (frame: Frame) => boolean, timeoutMs?: number): Promise<Frame>;
  /** The first text frame of that type, and whose data fits. */
  waitForText(
    type: string,
    predicate?: (data: unknown) => boolean,
    timeoutMs?: number,
  ): Promise<TextFrame>;
  send(message: string | Uint8Array): void;
  /** Resolves when the socket is closed, with the close code. */
  readonly closed: Promise<number>;
  close(): Promise<void>;
  /** Ends the connection without a goodbye. */
  terminate(): void;
  /** Reads nothing from the TCP socket any more: a client that is stuck. */
  pause(): void;
  resume(): void;
}

const TIMEOUT_MS = 10_000;

/**
 * Opens a WebSocket as a ComfyUI client and records what comes. `stopEverything` ends it.
 * @param url the HTTP URL of the API
 * @throws Error when the server refuses (with its HTTP status)
 */
export async function connectSocket(
  url: string,
  options: SocketOptions = {},
): Promise<EventRecorder> {
  const address = new URL(url.replace(/^http/, 'ws'));
  address.pathname = options.path ?? '/ws';
  if (options.clientId !== undefined) address.searchParams.set('clientId', options.clientId);
  const socket = new WebSocket(address, { headers: { ...options.headers } });
  onStopEverything(() => {
    socket.terminate();
  });

  const frames: Frame[] = [];
  const listeners = new Set<() => void>();
  const openedAt = performance.now();
  const notify = (): void => {
    for (const listener of [...listeners]) listener();
  };
  socket.on('message', (message: Buffer, isBinary) => {
    frames.push(decodeFrame(message, isBinary, performance.now() - openedAt));
    notify();
  });
  let closeCode: number | undefined;
  const closed = new Promise<number>((resolve) => {
    socket.once('close', (code) => {
      closeCode = code;
      resolve(code);
      notify();
    });
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  socket.on('error', () => undefined); // `close` follows
  if (options.featureFlags !== undefined) {
    socket.send(JSON.stringify({ type: 'feature_flags', data: options.featureFlags }));
  }

  const waitFor = (predicate: (frame: Frame) => boolean, timeoutMs = TIMEOUT_MS): Promise<Frame> =>
    new Promise((resolve, reject) => {
      let seen = 0;
      const finish = (): void => {
        clearTimeout(timer);
        listeners.delete(look);
      };
      const fail = (why: string): void => {
        finish();
        reject(new Error(`${why}; the frames were:\n${frames.map(describeFrame).join('\n')}`));
      };
      const look = (): void => {
        for (; seen < frames.length; seen += 1) {
          const frame = frames[seen];
          if (frame === undefined || !predicate(frame)) continue;
          finish();
          resolve(frame);
          return;
        }
        if (closeCode !== undefined) fail(`the socket was closed (${closeCode})`);
      };
      const timer = setTimeout(() => {
        fail(`no such frame in ${timeoutMs} ms`);
      }, timeoutMs);
      listeners.add(look);
      look();
    });
  return {
    frames,
    textFrames: (type) => frames.filter((frame) => isText(frame, type)),
    waitFor,
    waitForText: async (type, predicate = () => true, timeoutMs = TIMEOUT_MS) => {
      const fits = (frame: Frame): boolean => isText(frame, type) && predicate(frame.data);
      // waitFor returns what the predicate accepted: a text frame.
      return (await waitFor(fits, timeoutMs)) as TextFrame;
    },
    send: (message) => {
      socket.send(message);
    },
    closed,
    close: async () => {
      socket.close();
      await closed;
    },
    terminate: () => {
      socket.terminate();
    },
    pause: () => {
      socket.pause();
    },
    resume: () => {
      socket.resume();
    },
  };
}

function isText(frame: Frame, type?: string): frame is TextFrame {
  return frame.kind === 'text' && (type === undefined || frame.type === type);
}

function describeFrame(frame: Frame): string {
  const at = frame.atMs.toFixed(0).padStart(6);
  return frame.kind === 'text'
    ? `${at} ${frame.raw.slice(0, 200)}`
    : `${at} ${frame.kind}, ${frame.raw.length} bytes`;
}
