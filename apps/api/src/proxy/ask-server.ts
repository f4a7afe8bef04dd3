import { request as requestHttp, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { Readable } from 'node:stream';
import { startTimer } from '@tiercel/runtime';

export interface ServerRequest {
  readonly method: string;
  /** Path and query, as they came. */
  readonly target: string;
  readonly headers: OutgoingHttpHeaders;
  /** Not read before the server is connected. */
  readonly body: Readable | undefined;
}

export interface ServerLimits {
  readonly connectMs: number;
  /** For the beginning of the answer, counted from the last piece of the body. */
  readonly answerMs: number;
  /** The longest pause within the answer. */
  readonly silenceMs: number;
  readonly maxBodyBytes: number;
  /** Aborted when the caller goes away. */
  readonly signal: AbortSignal;
}

/**
 * unconnected: nothing was sent; broken: the connection ended before an answer; late: it did not begin
 * in time; too_large: the body passed its limit; gone: the caller left.
 */
export type FailureReason = 'unconnected' | 'broken' | 'late' | 'too_large' | 'gone';

export class ServerFailure extends Error {
  readonly reason: FailureReason;

  constructor(reason: FailureReason, cause?: unknown) {
    super(`the server did not answer: ${reason}`, { cause });
    this.reason = reason;
  }
}

/**
 * One request to one server, on a connection of its own: a kept one may be closed by the server just
 * then, and that would look like a server that fails.
 * @returns the answer, its body still to be read
 * @throws ServerFailure
 */
export function askServer(
  server: URL,
  asked: ServerRequest,
  limits: ServerLimits,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const { body, method, headers } = asked;
    const isSecure = server.protocol === 'https:';
    const path = `${server.pathname.replace(/\/$/, '')}${asked.target}`;
    const options = { method, headers, path, agent: false as const };
    const outgoing = isSecure ? requestHttps(server, options) : requestHttp(server, options);
    let isConnected = false;

    const fail = (reason: FailureReason, cause?: unknown): void => {
      settle();
      reject(new ServerFailure(reason, cause));
      outgoing.destroy();
    };
    const onGone = (): void => {
      fail('gone');
    };
    const connecting = startTimer(() => {
      fail('unconnected');
    }, limits.connectMs);
    const answering = startTimer(() => {
      fail('late');
    }, limits.answerMs);
    const settle = (): void => {
      clearTimeout(connecting);
      clearTimeout(answering);
      limits.signal.removeEventListener('abort', onGone);
    };
    limits.signal.addEventListener('abort', onGone);

    outgoing.on('error', (error) => {
      fail(isConnected ? 'broken' : 'unconnected', error);
    });
    outgoing.on('response', (incoming) => {
      settle();
      outgoing.setTimeout(limits.silenceMs, () =>
        incoming.destroy(new Error('silent for too long')),
      );
      resolve(incoming);
    });
    outgoing.on('socket', (socket) => {
      socket.once(isSecure ? 'secureConnect' : 'connect', () => {
        isConnected = true;
        clearTimeout(connecting);
        if (body === undefined) return;
        sendBody(body, outgoing, limits.maxBodyBytes, {
          onPiece: () => answering.refresh(),
          onTooLarge: () => {
            fail('too_large');
          },
        });
      });
    });
    if (body === undefined) outgoing.end();
  });
}

function sendBody(
  body: Readable,
  outgoing: NodeJS.WritableStream,
  maxBytes: number,
  callbacks: { readonly onPiece: () => void; readonly onTooLarge: () => void },
): void {
  let size = 0;
  body.on('data', (piece: Buffer) => {
    size += piece.length;
    callbacks.onPiece();
    if (size <= maxBytes) return;
    // What still comes is thrown away, so that the caller gets to read the answer.
    body.unpipe(outgoing);
    body.removeAllListeners('data');
    body.resume();
    callbacks.onTooLarge();
  });
  // Not pipeline: a server that fails would take the caller's request with it, and so the caller's answer.
  body.pipe(outgoing);
}
