import {
  createServer,
  IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { AppError } from '@tiercel/contracts';
import { startTimer } from '@tiercel/runtime';
import { sendError } from './answer.ts';
import { closeLingering, isClosing } from './linger.ts';
import { answerRaw, describeUnreadable } from './raw-answer.ts';

export interface HttpServerOptions {
  readonly handle: RequestListener;
  /** Whether to change protocols as the request offers; else it is served as if it had not offered. */
  readonly shouldUpgrade: (req: IncomingMessage) => boolean;
  readonly upgrade: (req: IncomingMessage, socket: Duplex, head: Buffer) => void;
  /** Largest body of any route: who asks before sending more (`Expect: 100-continue`) is not told to go on. */
  readonly maxBodyBytes: number;
  /** Told of what was refused before it was a request. */
  readonly onUnreadable?: (status: number) => void;
}

export interface HttpServer {
  /** @throws AppError port_in_use */
  listen(host: string, port: number): Promise<AddressInfo>;
  /** Answers in flight are finished; idle connections go at once, busy ones after `limitMs`. */
  close(limitMs: number): Promise<void>;
}

/** Node's HTTP server with the edges of the protocol seen to: every refusal has a body, and arrives. */
export function createHttpServer(options: HttpServerOptions): HttpServer {
  const answers = new WeakMap<Duplex, ServerResponse>();
  const server = createServer(
    {
      IncomingMessage: incomingMessageClass(options.shouldUpgrade),
      // Node would refuse without a body; the check of the Host header (caller-check.ts) has one.
      requireHostHeader: false,
    },
    (req, res) => {
      if (isClosing(req.socket)) return;
      answers.set(req.socket, res);
      // A body that its reader has given up would stop whatever comes after it.
      res.once('finish', () => {
        if (req.complete) return;
        req.unpipe();
        req.resume();
      });
      // A handshake that was refused: the connection is of no further use to its client.
      if (req.headers.upgrade?.toLowerCase() === 'websocket') res.setHeader('Connection', 'close');
      options.handle(req, res);
    },
  );
  const connections = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
    // What Node calls after the last answer of a connection, whether its request was read or not.
    socket.destroySoon = () => {
      closeLingering(socket);
    };
  });
  server.on('clientError', (error, socket) => {
    const answer = answers.get(socket);
    // Garbage behind the last request of a connection is nobody's.
    if (isClosing(socket) || (answer?.writableEnded === true && isLast(answer))) return;
    const isAnswering = answer?.headersSent === true && !answer.writableFinished;
    if (isAnswering || !socket.writable || ('code' in error && error.code === 'ECONNRESET')) {
      socket.destroy();
      return;
    }
    const refusal = describeUnreadable(error);
    options.onUnreadable?.(refusal.status);
    answerRaw(socket, refusal);
  });
  server.on('upgrade', options.upgrade);
  server.on('connect', (_req: IncomingMessage, socket: Duplex) => {
    const refusal = new AppError('bad_request', 'CONNECT is for proxies, and this is none.');
    options.onUnreadable?.(refusal.status);
    answerRaw(socket, refusal);
  });
  server.on('checkContinue', (req: IncomingMessage, res: ServerResponse) => {
    // Over the limit for certain: the route says so, and the caller need not send it.
    const isRefused = Number(req.headers['content-length'] ?? 0) > options.maxBodyBytes;
    if (isRefused) res.setHeader('Connection', 'close');
    else res.writeContinue();
    server.emit('request', req, res);
  });
  server.on('checkExpectation', (req: IncomingMessage, res: ServerResponse) => {
    answers.set(req.socket, res);
    sendError(res, new AppError('expectation_failed', 'Expect can only be 100-continue.'));
  });
  return {
    listen: (host, port) => listen(server, host, port),
    close: (limitMs) => close(server, connections, limitMs),
  };
}

function isLast(answer: ServerResponse): boolean {
  return !answer.shouldKeepAlive || answer.getHeader('Connection') === 'close';
}

const OFFERED = Symbol('upgrade offered');
const DECIDED = Symbol('upgrade decided');

/**
 * Requests that change protocols only when `shouldUpgrade` says so. Node asks a request's `upgrade` when
 * its headers are read, and goes on with plain HTTP, body and all, when it is false. From Node 24.9 on the option
 * `shouldUpgradeCallback` does the same; before, whoever listens for `upgrade` gets every request that
 * offers anything, such as the h2c of `curl --http2` and of Java's HttpClient, and their bodies with it.
 */
function incomingMessageClass(
  shouldUpgrade: (req: IncomingMessage) => boolean,
): typeof IncomingMessage {
  return class extends IncomingMessage {
    // Declared only: the constructor of IncomingMessage sets `upgrade` before fields would be made.
    declare [OFFERED]: boolean | null;
    declare [DECIDED]: boolean | undefined;

    get upgrade(): boolean {
      if (this[OFFERED] !== true) return false;
      return (this[DECIDED] ??= this.method === 'CONNECT' || shouldUpgrade(this));
    }

    set upgrade(isOffered: boolean | null) {
      this[OFFERED] = isOffered;
    }
  };
}

function listen(server: Server, host: string, port: number): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const taken = cause.code === 'EADDRINUSE';
      const message = taken
        ? `Port ${port} on ${host} is in use; set PORT to another one.`
        : `Cannot listen on ${host}:${port}: ${cause.code ?? cause.message}.`;
      reject(new AppError('port_in_use', message, { cause }));
    });
    server.listen(port, host, () => {
      // A listening TCP server has an AddressInfo; the other forms are for pipes.
      resolve(server.address() as AddressInfo);
    });
  });
}

function close(server: Server, connections: ReadonlySet<Socket>, limitMs: number): Promise<void> {
  return new Promise((resolve) => {
    const impatience = startTimer(() => {
      // Not closeAllConnections: it no longer knows a connection that has changed protocols.
      for (const socket of connections) socket.destroy();
    }, limitMs);
    server.close(() => {
      clearTimeout(impatience);
      resolve();
    });
    server.closeIdleConnections();
  });
}
