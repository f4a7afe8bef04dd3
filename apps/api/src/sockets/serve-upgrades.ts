import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { AppError } from '@tiercel/contracts';
import { sendError } from '../http/answer.ts';
import { translateError } from '../http/create-app.ts';
import type { CallerCheck } from '../http/caller-check.ts';
import type { HttpServerOptions } from '../http/http-server.ts';
import { answerRaw } from '../http/raw-answer.ts';
import type { Route } from '../http/route.ts';
import { describeChallenge, type Gate } from '../identity/gate.ts';
import type { SocketHub } from './socket-hub.ts';

const PATHS = new Set(['/ws', '/api/ws']);
/** 16 bytes in base64 (RFC 6455, 4.1). */
const KEY = /^[+/0-9A-Za-z]{22}==$/;
const VERSIONS = new Set(['8', '13']);

/**
 * WebSockets: `/ws` and `/api/ws`, with `?clientId=`. A handshake that is refused changes no protocol: its
 * request is answered like any other, by the check of callers or by the route here.
 */
export function createUpgrades(
  hub: SocketHub,
  checkCaller: CallerCheck,
  gate: Pick<Gate, 'admitSocket'>,
): Pick<HttpServerOptions, 'shouldUpgrade' | 'upgrade'> & {
  /** Why a handshake is refused; undefined: it is not. */
  readonly findRefusal: FindRefusal;
} {
  const findRefusal = (req: IncomingMessage): AppError | undefined =>
    findHandshakeProblem(req) ?? hub.findRefusal();
  return {
    shouldUpgrade: (req) =>
      PATHS.has(parseTarget(req)?.pathname ?? '') &&
      checkCaller(req) === undefined &&
      findRefusal(req) === undefined,
    upgrade: (req, socket, head) => {
      if (gate.admitSocket === undefined) {
        hub.handleUpgrade(req, socket, head, readClientId(req));
      } else {
        void openAdmitted(hub, gate.admitSocket, { req, socket, head });
      }
    },
    findRefusal,
  };
}

type FindRefusal = (req: IncomingMessage) => AppError | undefined;

/** Answers the handshakes that are refused. */
export function createSocketRoutes(findRefusal: FindRefusal): Route[] {
  return [
    {
      method: 'GET',
      path: '/ws',
      handle(req, res) {
        const refusal = findRefusal(req) ?? upgradeRequired();
        if (refusal.code === 'upgrade_required') res.setHeader('Upgrade', 'websocket');
        sendError(res, refusal);
      },
    },
  ];
}

/** Opens a socket when it is known whose it is; else refuses it, still in HTTP. */
async function openAdmitted(
  hub: SocketHub,
  admit: NonNullable<Gate['admitSocket']>,
  { req, socket, head }: { req: IncomingMessage; socket: Duplex; head: Buffer },
): Promise<void> {
  const giveUp = (): void => {
    socket.destroy();
  };
  socket.once('error', giveUp);
  try {
    const owner = await admit(req);
    const refusal = hub.findRefusal();
    if (refusal !== undefined) throw refusal;
    socket.off('error', giveUp);
    if (!socket.destroyed) hub.handleUpgrade(req, socket, head, readClientId(req), owner);
  } catch (error) {
    const refusal = translateError(error);
    answerRaw(
      socket,
      refusal,
      refusal.code === 'unauthorized' ? { 'WWW-Authenticate': describeChallenge(true) } : {},
    );
  }
}

function findHandshakeProblem({ method, headers }: IncomingMessage): AppError | undefined {
  if (method !== 'GET' || headers.upgrade?.toLowerCase() !== 'websocket') return upgradeRequired();
  if (!KEY.test(headers['sec-websocket-key'] ?? '')) {
    return new AppError('bad_request', 'Sec-WebSocket-Key must be 16 bytes in base64.');
  }
  if (!VERSIONS.has(headers['sec-websocket-version'] ?? '')) {
    return new AppError('bad_request', 'Sec-WebSocket-Version must be 13.');
  }
  return undefined;
}

function upgradeRequired(): AppError {
  return new AppError('upgrade_required', 'This route is a WebSocket; ask for it as one.');
}

function readClientId(req: IncomingMessage): string | null {
  return parseTarget(req)?.searchParams.get('clientId') ?? null;
}

function parseTarget({ url = '' }: IncomingMessage): URL | undefined {
  return URL.canParse(url, 'http://host') ? new URL(url, 'http://host') : undefined;
}
