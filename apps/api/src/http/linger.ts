import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { startTimer } from '@tiercel/runtime';

interface LingerLimits {
  /** Longest wait for a peer that goes on sending after it was answered. */
  readonly totalMs: number;
  /** And for one that neither sends nor closes. */
  readonly silenceMs: number;
}

const LIMITS: LingerLimits = { totalMs: 30_000, silenceMs: 5_000 };

const lingering = new WeakSet<Duplex>();

/**
 * Closes a connection whose peer may still be sending, so that the answer reaches it: a byte that comes
 * to a closed socket is answered with a reset, and a reset takes from the peer what it has not read yet
 * (RFC 9112, 9.6). Our side ends when all is written; what comes is thrown away until the peer ends too,
 * is silent for 5 s, or has sent for 30 s.
 */
export function closeLingering(socket: Socket, limits = LIMITS): void {
  if (isClosing(socket)) return;
  lingering.add(socket);
  socket.on('error', () => socket.destroy());
  // What comes goes through the HTTP parser, if there is one, to a request that nobody reads.
  socket.resume();
  socket.end(() => {
    const limit = startTimer(() => socket.destroy(), limits.totalMs);
    socket.once('close', () => {
      clearTimeout(limit);
    });
    socket.setTimeout(limits.silenceMs, () => socket.destroy());
  });
}

/** Whether nothing that comes over the connection is to be acted upon any more. */
export function isClosing(socket: Duplex): boolean {
  return socket.destroyed || lingering.has(socket);
}
