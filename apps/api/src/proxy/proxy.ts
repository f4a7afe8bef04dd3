import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { AppError } from '@tiercel/contracts';
import type { Clock, Logger } from '@tiercel/runtime';
import type { Request, Response } from 'express';
import { goneSignal } from '../http/on-closed.ts';
import { askServer, ServerFailure } from './ask-server.ts';
import { answerHeaders, requestHeaders } from './proxy-headers.ts';
import { createProxyMatcher, type ProxiedKind, type ProxyRules } from './proxy-rules.ts';
import type { ServerPool } from './server-pool.ts';

/**
 * sent: answered, or the caller left; absent: not on the list, or no server has it; unreachable: no
 * server could be asked; late: the one that was asked said nothing in time. Only `sent` has answered.
 */
type ForwardOutcome = 'sent' | 'absent' | 'unreachable' | 'late';

/**
 * Answers a request with what a server of the pool says to it.
 * @throws AppError body_too_large
 */
export type Forward = (req: Request, res: Response) => Promise<ForwardOutcome>;

export interface ProxyDeps {
  readonly pool: ServerPool;
  readonly options: ProxyRules & {
    readonly maxBodyBytes: number;
    /** Until the answer begins, over all servers that are asked; then for each pause in it. */
    readonly timeoutMs: number;
  };
  /** Tells a request that comes back here: a server of the pool that is, in the end, this process. */
  readonly via: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A name for this process in `Via`. */
export function createVia(): string {
  return `1.1 tiercel-${randomBytes(6).toString('hex')}`;
}

/** A server in the same network connects in milliseconds; one that is switched off never does. */
const CONNECT_MS = 2_000;

/**
 * A request goes to the server whose turn it is. It goes on to the next one when it cannot have done
 * anything: no connection, or GET and HEAD without an answer. A GET also goes on after a 404: extensions
 * and the frontend's files differ from server to server, and the page names those of all of them.
 */
export function createForward({ pool, options, via, clock, log }: ProxyDeps): Forward {
  const match = createProxyMatcher(options);

  return async (req, res) => {
    const kind = match(req.method, req.originalUrl);
    if (kind === undefined || req.headers.via?.includes(via) === true) return 'absent';
    if (Number(req.headers['content-length'] ?? 0) > options.maxBodyBytes) throw tooLarge(req);
    const gone = goneSignal(res);
    const isRead = req.method === 'GET' || req.method === 'HEAD';
    const hasBody = !isRead && hasContent(req);
    const asked = {
      method: req.method,
      target: req.originalUrl,
      headers: requestHeaders(req.headers, { via, hasBody }),
      body: hasBody ? req : undefined,
    };
    const endsAt = clock.now() + options.timeoutMs;
    const servers = pool.listRotated();
    let outcome: ForwardOutcome = servers.length === 0 ? 'absent' : 'unreachable';
    for (const [index, server] of servers.entries()) {
      const answerMs = Math.max(1, endsAt - clock.now());
      try {
        const answer = await askServer(server, asked, {
          connectMs: CONNECT_MS,
          answerMs,
          silenceMs: options.timeoutMs,
          maxBodyBytes: options.maxBodyBytes,
          signal: gone,
        });
        if (isRead && isMissing(answer, kind, index === servers.length - 1)) {
          answer.destroy();
          outcome = 'absent';
          continue;
        }
        await relay(answer, res, server, log);
        return 'sent';
      } catch (error) {
        if (!(error instanceof ServerFailure)) throw error;
        if (error.reason === 'gone') return 'sent';
        if (error.reason === 'too_large') throw tooLarge(req);
        if (pool.markFailed(server)) {
          log.warn({ err: error.cause, server: server.host, reason: error.reason }, 'proxy failed');
        }
        if (error.reason === 'late') return 'late';
        if (error.reason === 'broken' && !isRead) return 'unreachable';
      }
    }
    return outcome;
  };

  function tooLarge(req: Request): AppError {
    req.resume();
    return new AppError('body_too_large', `The body is larger than ${options.maxBodyBytes} bytes.`);
  }
}

function hasContent({ headers }: Request): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** A custom node's 404 may say something in its body: the last one is the caller's. */
function isMissing(answer: IncomingMessage, kind: ProxiedKind, isLast: boolean): boolean {
  return answer.statusCode === 404 && (kind === 'page' || !isLast);
}

async function relay(
  answer: IncomingMessage,
  res: Response,
  server: URL,
  log: Logger,
): Promise<void> {
  res.statusCode = answer.statusCode ?? 502;
  for (const [name, value] of Object.entries(answerHeaders(answer.headers, server))) {
    if (value !== undefined) res.setHeader(name, value);
  }
  // Streams of events may have nothing to say for a while.
  res.flushHeaders();
  try {
    await pipeline(answer, res);
  } catch (error) {
    // The caller sees a cut connection, as from the server itself.
    log.debug({ err: error, server: server.host }, 'a proxied answer was cut');
  }
}
