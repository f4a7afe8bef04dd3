import { randomUUID } from 'node:crypto';
import type { WebSocket } from 'ws';
import { openJobSocket } from './job-socket.ts';

export interface HoldSocketsCommand {
  readonly url: string;
  /** How many are to be open when this is done; surplus ones are closed. */
  readonly count: number;
}

const OPENING_AT_ONCE = 50;
const open: WebSocket[] = [];

/** Keeps sockets open that do nothing but answer pings, each with a client id of its own. */
export async function holdSockets({ url, count }: HoldSocketsCommand): Promise<number> {
  await Promise.all(open.splice(count).map(closeSocket));
  while (open.length < count) {
    const batch = Math.min(OPENING_AT_ONCE, count - open.length);
    open.push(
      ...(await Promise.all(
        Array.from({ length: batch }, () => openJobSocket(url, `idle-${randomUUID()}`)),
      )),
    );
  }
  return open.length;
}

function closeSocket(socket: WebSocket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('close', () => {
      resolve();
    });
    socket.close();
  });
}
