import {
  Agent as HttpAgent,
  request as requestHttp,
  type ClientRequest,
  type IncomingMessage,
} from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import type { JsonValue } from '@tiercel/contracts';
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
 * One HTTP exchange, read whole. By node:http: fetch takes three times the CPU, and a busy pool makes
 * hundreds of exchanges a second. Redirects are not followed: they could carry prompts and credentials to a
 * host that is not of the pool.
 * @throws ComfyRequestError, or the reason of the caller's signal
 */
export async function exchange(
  server: ServerAddress,
  request: ComfyRequest,
  { signal, timeoutMs }: ExchangeLimits,
): Promise<ComfyAnswer> {
  signal?.throwIfAborted();
  const route = `${request.method} ${request.path}`;
  const body = await encodeBody(request.body);
  signal?.throwIfAborted();
  const outgoing = open(server, request, body);
  const limit = { isPassed: false };
  const timer = setTimeout(() => {
    limit.isPassed = true;
    outgoing.destroy();
  }, timeoutMs);
  const abort = (): void => {
    outgoing.destroy();
  };
  signal?.addEventListener('abort', abort);
  let isAnswered = false;
  try {
    const incoming = await new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.on('response', resolve);
      outgoing.on('error', reject);
      outgoing.end(body.bytes);
    });
    isAnswered = true;
    return await readAnswer(incoming, request, { host: server.host, route });
  } catch (error) {
    if (error instanceof ComfyRequestError) throw error;
    signal?.throwIfAborted();
    const options = { cause: error };
    if (limit.isPassed) {
      const what = `did not answer ${route} within ${timeoutMs} ms`;
      throw new ComfyRequestError(
        server.host,
        { class: 'timeout', what, uncertain: true },
        options,
      );
    }
    if (isAnswered) throw badOutput(server.host, `broke off its answer to ${route}`, error);
    throw new ComfyRequestError(server.host, describeNoAnswer(error, route), options);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
}

interface EncodedBody {
  readonly bytes: string | Buffer | undefined;
  readonly headers: Readonly<Record<string, string | number>>;
}

async function encodeBody(body: ComfyRequest['body']): Promise<EncodedBody> {
  if (body === undefined) return { bytes: undefined, headers: {} };
  if (typeof body === 'string') {
    const length = Buffer.byteLength(body);
    const headers = { 'content-type': 'application/json', 'content-length': length };
    return { bytes: body, headers };
  }
  const encoded = new Response(body);
  const bytes = Buffer.from(await encoded.arrayBuffer());
  const type = encoded.headers.get('content-type') ?? '';
  return { bytes, headers: { 'content-type': type, 'content-length': bytes.byteLength } };
}

function open(
  server: ServerAddress,
  { method, path, query }: ComfyRequest,
  body: EncodedBody,
): ClientRequest {
  const url = server.httpUrl(path, query);
  // Some proxies refuse who does not name itself.
  const headers = { accept: '*/*', 'user-agent': 'tiercel', ...server.headers, ...body.headers };
  return url.startsWith('https:')
    ? requestHttps(url, { method, headers, agent: agents.https })
    : requestHttp(url, { method, headers, agent: agents.http });
}

async function readAnswer(
  incoming: IncomingMessage,
  request: ComfyRequest,
  where: { readonly host: string; readonly route: string },
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
