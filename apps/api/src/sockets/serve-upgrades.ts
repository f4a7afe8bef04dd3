import type { IncomingMessage } from 'node:http';
import { AppError } from '@tiercel/contracts';
import { sendError } from '../http/answer.ts';
import type { CallerCheck } from '../http/caller-check.ts';
import type { HttpServerOptions } from '../http/http-server.ts';
import type { Route } from '../http/route.ts';
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
): Pick<HttpServerOptions, 'shouldUpgrade' | 'upgrade'> & { readonly routes: readonly Route[] } {
  const findRefusal = (req: IncomingMessage): AppError | undefined =>
    findHandshakeProblem(req) ?? hub.findRefusal();
  return {
    shouldUpgrade: (req) =>
      PATHS.has(parseTarget(req)?.pathname ?? '') &&
      checkCaller(req) === undefined &&
      findRefusal(req) === undefined,
    upgrade: (req, socket, head) => {
      hub.handleUpgrade(req, socket, head, readClientId(req));
    },
    routes: [
      {
        method: 'GET',
        path: '/ws',
        handle(req, res) {
          const refusal = findRefusal(req) ?? upgradeRequired();
          if (refusal.code === 'upgrade_required') res.setHeader('Upgrade', 'websocket');
          sendError(res, refusal);
        },
      },
    ],
  };
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
