import type { JsonValue } from '@tiercel/contracts';
import {
  classifyStatus,
  ComfyRequestError,
  describeNoAnswer,
  mayHaveActed,
  parseRetryAfter,
  type Blame,
} from './comfy-errors.ts';
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
 * One HTTP exchange, read whole.
 * @throws ComfyRequestError, or the reason of the caller's signal
 */
export async function exchange(
  server: ServerAddress,
  request: ComfyRequest,
  limits: ExchangeLimits,
): Promise<ComfyAnswer> {
  limits.signal?.throwIfAborted();
  const route = `${request.method} ${request.path}`;
  // By hand: AbortSignal.any keeps what it made reachable from a signal that lives as long as a worker.
  const stop = new AbortController();
  const abort = (): void => {
    stop.abort();
  };
  const late = new Error('time limit');
  const timer = setTimeout(() => {
    stop.abort(late);
  }, limits.timeoutMs);
  limits.signal?.addEventListener('abort', abort);
  let isAnswered = false;
  try {
    const response = await fetch(server.httpUrl(request.path, request.query), {
      method: request.method,
      headers: {
        ...server.headers,
        ...(typeof request.body === 'string' ? { 'content-type': 'application/json' } : {}),
      },
      ...(request.body === undefined ? {} : { body: request.body }),
      // A followed redirect could carry prompts and credentials to a host that is not of the pool.
      redirect: 'manual',
      signal: stop.signal,
    });
    isAnswered = true;
    return await readAnswer(response, request, { host: server.host, route });
  } catch (error) {
    if (error instanceof ComfyRequestError) throw error;
    limits.signal?.throwIfAborted();
    const options = { cause: error };
    if (stop.signal.reason === late) {
      const what = `did not answer ${route} within ${limits.timeoutMs} ms`;
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
    limits.signal?.removeEventListener('abort', abort);
  }
}

async function readAnswer(
  response: Response,
  request: ComfyRequest,
  where: { readonly host: string; readonly route: string },
): Promise<ComfyAnswer> {
  const { status, headers } = response;
  if (!response.ok && request.accepts?.includes(status) !== true) {
    await response.body?.cancel().catch(() => undefined);
    throw new ComfyRequestError(where.host, {
      class: classifyStatus(status, request.blame ?? 'us'),
      what: `answered ${status} to ${where.route}`,
      status,
      uncertain: mayHaveActed(status),
      retryAfterMs: parseRetryAfter(headers.get('retry-after'), Date.now()),
    });
  }
  const mediaType = (headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  if (mediaType === 'text/html' && request.allowsHtml !== true) {
    await response.body?.cancel().catch(() => undefined);
    throw badOutput(where.host, `answered ${where.route} with a web page`, undefined, status);
  }
  const bytes = await readLimited(response, request.maxBytes);
  if (bytes === undefined) {
    const what = `answered ${where.route} with over ${request.maxBytes} bytes`;
    throw badOutput(where.host, what, undefined, status);
  }
  return { status, mediaType, bytes };
}

/** Stops reading as soon as there is too much; undefined then. */
async function readLimited(response: Response, maxBytes: number): Promise<Buffer | undefined> {
  if (response.body === null) return Buffer.alloc(0);
  const parts: Uint8Array[] = [];
  let size = 0;
  // fetch gives bytes; its type does not say so. Leaving the loop cancels the rest.
  for await (const part of response.body as AsyncIterable<Uint8Array>) {
    size += part.byteLength;
    if (size > maxBytes) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts);
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
