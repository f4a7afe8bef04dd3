import { Agent as HttpAgent, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { JsonValue } from '@tiercel/contracts';
import { exchangeHttp, HttpBreak } from '../exchange-http.ts';
import {
  classifyStatus,
  describeNoAnswer,
  mayHaveActed,
  parseRetryAfter,
  type Blame,
} from '../http-failures.ts';
import { readLimited } from '../read-limited.ts';
import { ComfyRequestError } from './comfy-errors.ts';
import { readPythonJson } from './python-json.ts';
import type { ServerAddress } from './server-address.ts';

/** How long an exchange may take, and who may end it before. */
export interface ExchangeLimits {
  /** When it aborts, the call throws its reason; whether the server has acted is not known then. */
  readonly signal: AbortSignal | undefined;
  /** For the exchange with its whole answer. */
  readonly timeoutMs: number;
}

export interface ComfyRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: string | FormData;
  readonly blame?: Blame;
  /** Statuses that are no failure; 2xx never is one. */
  readonly accepts?: readonly number[];
  /** Whether an HTML page can be the answer that was asked for; else it is a login page or a proxy's. */
  readonly allowsHtml?: boolean;
  readonly maxBytes: number;
}

export interface ComfyAnswer {
  readonly status: number;
  /** Without parameters; '' when the server named none. */
  readonly mediaType: string;
  readonly bytes: Buffer;
}

/**
 * Below what servers keep an unused connection for (5 s and more): one that the server is about to close is
 * not used again.
 */
const IDLE_CONNECTION_MS = 4_000;
const KEPT = { keepAlive: true, timeout: IDLE_CONNECTION_MS };
const agents = { http: new HttpAgent(KEPT), https: new HttpsAgent(KEPT) };

/**
 * One HTTP exchange, read whole.
 * @throws ComfyRequestError, or the reason of the caller's signal
 */
export async function exchange(
  server: ServerAddress,
  request: ComfyRequest,
  { signal, timeoutMs }: ExchangeLimits,
): Promise<ComfyAnswer> {
  const { method, path, query, body } = request;
  const where = { host: server.host, route: `${method} ${path}` };
  try {
    return await exchangeHttp(
      {
        ...{ method, url: server.httpUrl(path, query), body, agents, signal, timeoutMs },
        // Some proxies refuse who does not name itself.
        headers: { 'user-agent': 'tiercel', ...server.headers },
      },
      (answer) => readAnswer(answer, request, where),
    );
  } catch (error) {
    if (error instanceof HttpBreak) throw describeBreak(error, where, timeoutMs);
    throw error;
  }
}

interface Where {
  readonly host: string;
  readonly route: string;
}

function describeBreak(
  { kind, cause }: HttpBreak,
  { host, route }: Where,
  timeoutMs: number,
): ComfyRequestError {
  switch (kind) {
    case 'late': {
      const what = `did not answer ${route} within ${timeoutMs} ms`;
      return new ComfyRequestError(host, { class: 'timeout', what, uncertain: true }, { cause });
    }
    case 'broken_off':
      return badOutput(host, `broke off its answer to ${route}`, cause);
    case 'unanswered':
      return new ComfyRequestError(host, describeNoAnswer(cause, route), { cause });
  }
}

async function readAnswer(
  incoming: IncomingMessage,
  request: ComfyRequest,
  where: Where,
): Promise<ComfyAnswer> {
  const { statusCode: status = 0, headers } = incoming;
  const isOk = status >= 200 && status < 300;
  if (!isOk && request.accepts?.includes(status) !== true) {
    incoming.destroy();
    throw new ComfyRequestError(where.host, {
      class: classifyStatus(status, request.blame ?? 'us'),
      what: `answered ${status} to ${where.route}`,
      status,
      uncertain: mayHaveActed(status),
      retryAfterMs: parseRetryAfter(headers['retry-after'], Date.now()),
    });
  }
  const mediaType = (headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  if (mediaType === 'text/html' && request.allowsHtml !== true) {
    incoming.destroy();
    throw badOutput(where.host, `answered ${where.route} with a web page`, undefined, status);
  }
  const bytes = await readLimited(incoming, request.maxBytes);
  if (bytes === undefined) {
    const what = `answered ${where.route} with over ${request.maxBytes} bytes`;
    throw badOutput(where.host, what, undefined, status);
  }
  return { status, mediaType, bytes };
}

/** @throws ComfyRequestError (bad_output) when the answer is not JSON */
export function readJsonAnswer(host: string, route: string, answer: ComfyAnswer): JsonValue {
  try {
    return readPythonJson(answer.bytes.toString('utf8')).value;
  } catch (error) {
    throw badOutput(
      host,
      `answered ${route} with something that is not JSON`,
      error,
      answer.status,
    );
  }
}

/** The server answered, but not with what was asked for; unless it refused it may have acted all the same. */
export function badOutput(
  host: string,
  what: string,
  cause?: unknown,
  status?: number,
): ComfyRequestError {
  const options = cause === undefined ? undefined : { cause };
  const uncertain = status === undefined || status < 400;
  return new ComfyRequestError(host, { class: 'bad_output', what, status, uncertain }, options);
}
