import { Agent as HttpAgent, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { JsonValue } from '@tiercel/contracts';
import { AttemptError } from '@tiercel/routing';
import {
  type Blame,
  classifyStatus,
  describeNoAnswer,
  exchangeHttp,
  HttpBreak,
  type HttpFailure,
  mayHaveActed,
  parseRetryAfter,
  readLimited,
  type StreamedBody,
} from '@tiercel/upstream-http';
import { readPythonJson } from './comfy-wire.ts';
import type { ServerAddress } from './server-address.ts';

/**
 * A call to a ComfyUI server that came to nothing. Callers see the message: it names the route, never the host, which
 * is for the log.
 */
export class ComfyRequestError extends AttemptError {
  readonly host: string;
  /** What the server answered; undefined when no answer came. */
  readonly status: number | undefined;
  /** The request may have reached the server, which may have done it: look there before asking again. */
  readonly uncertain: boolean;
  /** How long the server asked to be left alone. */
  readonly retryAfterMs: number | undefined;

  constructor(host: string, failure: HttpFailure, options?: ErrorOptions) {
    super(failure.class, `a server of the pool ${failure.what}`, {
      ...options,
      retryAtMs: failure.retryAfterMs === undefined ? undefined : Date.now() + failure.retryAfterMs,
    });
    this.name = 'ComfyRequestError';
    this.host = host;
    this.status = failure.status;
    this.uncertain = failure.uncertain;
    this.retryAfterMs = failure.retryAfterMs;
  }
}

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
  readonly body?: string | FormData | StreamedBody;
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
export function exchange(
  server: ServerAddress,
  request: ComfyRequest,
  limits: ExchangeLimits,
): Promise<ComfyAnswer> {
  return exchangeWith(server, request, limits, readWhole);
}

/** An answer whose body is read while it comes. */
export interface ComfyStream extends Omit<ComfyAnswer, 'bytes'> {
  /** @throws ComfyRequestError when there is too much of it, Error when it breaks off */
  readonly body: AsyncIterable<Buffer>;
}

/**
 * One HTTP exchange, whose body is read while it comes.
 * @param use has done with the body when it resolves; what it throws is thrown
 * @throws ComfyRequestError, or the reason of the caller's signal
 */
export async function exchangeStream<T>(
  server: ServerAddress,
  request: ComfyRequest,
  limits: ExchangeLimits,
  use: (answer: ComfyStream) => Promise<T>,
): Promise<T> {
  /** What the user of the body failed with: that says nothing about the server. */
  let failure: { readonly error: unknown } | undefined;
  try {
    return await exchangeWith(server, request, limits, async (incoming, answer, where) => {
      const source = { hasBroken: false };
      const body = readParts(incoming, request.maxBytes, where, source);
      try {
        return await use({ ...answer, body });
      } catch (error) {
        if (!source.hasBroken && limits.signal?.aborted !== true) failure = { error };
        throw error;
      }
    });
  } catch (error) {
    throw failure === undefined ? error : failure.error;
  }
}

type BodyReader<T> = (
  incoming: IncomingMessage,
  answer: Omit<ComfyAnswer, 'bytes'>,
  where: Where,
  request: ComfyRequest,
) => Promise<T>;

async function exchangeWith<T>(
  server: ServerAddress,
  request: ComfyRequest,
  { signal, timeoutMs }: ExchangeLimits,
  readBody: BodyReader<T>,
): Promise<T> {
  const { method, path, query, body } = request;
  const where = { host: server.host, route: `${method} ${path}` };
  try {
    return await exchangeHttp(
      {
        ...{ method, url: server.httpUrl(path, query), body, agents, signal, timeoutMs },
        // Some proxies refuse who does not name itself.
        headers: { 'user-agent': 'tiercel', ...server.headers },
      },
      (answer) => readAnswer(answer, request, where, readBody),
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

async function readAnswer<T>(
  incoming: IncomingMessage,
  request: ComfyRequest,
  where: Where,
  readBody: BodyReader<T>,
): Promise<T> {
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
  return readBody(incoming, { status, mediaType }, where, request);
}

const readWhole: BodyReader<ComfyAnswer> = async (incoming, answer, where, { maxBytes }) => {
  const bytes = await readLimited(incoming, maxBytes);
  if (bytes === undefined) throw tooLong(where, maxBytes, answer.status);
  return { ...answer, bytes };
};

/** @param source told when the body itself is at fault */
async function* readParts(
  incoming: IncomingMessage,
  maxBytes: number,
  where: Where,
  source: { hasBroken: boolean },
): AsyncGenerator<Buffer> {
  let size = 0;
  try {
    for await (const part of incoming) {
      const bytes = part as Buffer; // no encoding is set
      size += bytes.byteLength;
      if (size > maxBytes) throw tooLong(where, maxBytes, incoming.statusCode);
      yield bytes;
    }
  } catch (error) {
    source.hasBroken = true;
    throw error;
  }
}

function tooLong({ host, route }: Where, maxBytes: number, status?: number): ComfyRequestError {
  return badOutput(host, `answered ${route} with over ${maxBytes} bytes`, undefined, status);
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
