import { STATUS_CODES } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { AppError } from '@tiercel/contracts';
import { errorBody } from './answer.ts';
import { closeLingering } from './linger.ts';

/** Refuses where there is no ServerResponse to do it with, and closes the connection. */
export function answerRaw(
  socket: Duplex,
  error: AppError,
  headers: Readonly<Record<string, string>> = {},
): void {
  const body = JSON.stringify(errorBody(error.code, error.message));
  socket.write(
    [
      `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? 'Refused'}`,
      'Content-Type: application/json; charset=utf-8',
      `Content-Length: ${Buffer.byteLength(body)}`,
      'Connection: close',
      ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
      '',
      body,
    ].join('\r\n'),
  );
  if (socket instanceof Socket) closeLingering(socket);
  else socket.end();
}

/** An error of Node's HTTP parser or of its time limits. */
interface ParserError extends Error {
  readonly code?: string;
  /** What the parser says is wrong. */
  readonly reason?: string;
  /** The bytes it was reading. */
  readonly rawPacket?: Buffer;
}

const HTTP2_PREFACE = 'PRI * HTTP/2.0';

/** What to tell a peer whose bytes are no HTTP request. */
export function describeUnreadable(error: ParserError): AppError {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return new AppError('headers_too_large', 'The URL and the headers are too long together.');
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return new AppError('body_too_large', 'The extensions of a chunk are too long.');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new AppError('request_timeout', 'The request did not arrive whole in time.');
    default: {
      const isHttp2 = error.rawPacket?.subarray(0, 14).toString('latin1') === HTTP2_PREFACE;
      const why = isHttp2 ? 'HTTP/2 is not spoken here' : (error.reason ?? 'it cannot be parsed');
      return new AppError('bad_request', `This is no HTTP/1.1 request: ${why}.`);
    }
  }
}
