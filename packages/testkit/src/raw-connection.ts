import { connect, type Socket } from 'node:net';
import { onStopEverything } from './cleanup.ts';

/** A TCP connection to a server, for requests that no HTTP client would send. */
export interface RawConnection {
  readonly socket: Socket;
  /** Everything received so far, bytes as characters. */
  readonly text: string;
  /** Resolves with everything received when the connection is closed, by whichever side and however. */
  readonly closed: Promise<string>;
  send(data: string | Uint8Array): void;
  /** Sends all of it before it reads anything that comes back; then as `closed`. */
  sendBeforeReading(head: string, body: Uint8Array): Promise<string>;
}

/**
 * @param url of the server; the connection is made when this resolves
 * @param options.allowHalfOpen our side stays open when the server has ended its own
 */
export async function connectRaw(
  url: string,
  options: { readonly allowHalfOpen?: boolean } = {},
): Promise<RawConnection> {
  const { hostname, port } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, '');
  const socket = connect({ ...options, port: Number(port), host });
  onStopEverything(() => {
    socket.destroy();
  });
  const parts: Buffer[] = [];
  const textOf = () => Buffer.concat(parts).toString('latin1');
  socket.on('data', (part: Buffer) => parts.push(part));
  const closed = new Promise<string>((resolve) => {
    socket.on('error', () => undefined);
    socket.on('close', () => {
      resolve(textOf());
    });
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  return {
    socket,
    get text() {
      return textOf();
    },
    closed,
    send: (data) => {
      socket.write(data);
    },
    sendBeforeReading: async (head, body) => {
      socket.pause();
      socket.write(head);
      await new Promise<void>((resolve, reject) => {
        socket.write(body, (error) => {
          if (error) reject(error);
          else resolve();
        });
      });
      socket.resume();
      return await closed;
    },
  };
}
