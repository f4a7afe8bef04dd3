import {
  type Agent as HttpAgent,
  type ClientRequest,
  type IncomingMessage,
  request as requestHttp,
} from 'node:http';
import { type Agent as HttpsAgent, request as requestHttps } from 'node:https';
import type { LookupFunction } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { AttemptError } from '@tiercel/routing';
import { startTimer } from '@tiercel/runtime';

/** A body that is read while it is sent. */
export interface StreamedBody {
  /** Content-Type. */
  readonly type: string;
  readonly sizeBytes: number;
  readonly parts: AsyncIterable<Uint8Array>;
}

interface HttpRequest {
  readonly method: 'GET' | 'POST';
  readonly url: URL | string;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON text, a form, or what is read on the way. */
  readonly body: string | FormData | StreamedBody | undefined;
  /** Whose connections are used; undefined: each request has its own. */
  readonly agents?: { readonly http: HttpAgent; readonly https: HttpsAgent };
  /** Finds the addresses of a host that is a name; undefined: the system's way. */
  readonly lookup?: LookupFunction;
  /** When it aborts, its reason is thrown; whether the server has acted is not known then. */
  readonly signal: AbortSignal | undefined;
  /** For the exchange with its whole answer; undefined when the signal carries the limit. */
  readonly timeoutMs?: number;
}

/** An exchange that came to nothing. */
export class HttpBreak extends Error {
  /** `late`: out of time. `unanswered`: no answer began. `broken_off`: one began and did not end. */
  readonly kind: 'late' | 'unanswered' | 'broken_off';

  constructor(kind: HttpBreak['kind'], options: { cause: unknown }) {
    super(kind, options);
    this.name = 'HttpBreak';
    this.kind = kind;
  }
}

/**
 * One exchange; `read` gets the answer with its body still to come. By node:http: fetch takes three times the
 * CPU, and ends every request after 300 s without headers or body, where a slow render takes longer. A
 * redirect is not followed: it could carry prompts and keys to another host, and is a wrong URL in the
 * configuration or a login page.
 * @throws HttpBreak; AttemptError of `read`; the reason of the signal
 */
export async function exchangeHttp<T>(
  request: HttpRequest,
  read: (answer: IncomingMessage) => Promise<T>,
): Promise<T> {
  const { signal, timeoutMs } = request;
  signal?.throwIfAborted();
  const { headers, payload } = await encodeBody(request.body);
  signal?.throwIfAborted();
  const outgoing = open(request, headers);
  const abort = (): void => {
    outgoing.destroy();
  };
  const limit = { isPassed: false };
  const expire = (): void => {
    limit.isPassed = true;
    outgoing.destroy();
  };
  const timer = timeoutMs === undefined ? undefined : startTimer(expire, timeoutMs);
  signal?.addEventListener('abort', abort);
  let isAnswered = false;
  try {
    const answer = await receiveHead(outgoing, payload);
    isAnswered = true;
    return await read(answer);
  } catch (error) {
    outgoing.destroy();
    signal?.throwIfAborted();
    if (error instanceof AttemptError) throw error;
    const kind = limit.isPassed ? 'late' : isAnswered ? 'broken_off' : 'unanswered';
    throw new HttpBreak(kind, { cause: error });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
}

function open(
  { method, url, agents, headers, lookup }: HttpRequest,
  bodyHeaders: Readonly<Record<string, string>>,
): ClientRequest {
  const options = {
    method,
    headers: { accept: '*/*', ...headers, ...bodyHeaders },
    ...(lookup === undefined ? {} : { lookup }),
  };
  return new URL(url).protocol === 'https:'
    ? requestHttps(url, { ...options, agent: agents?.https ?? false })
    : requestHttp(url, { ...options, agent: agents?.http ?? false });
}

function receiveHead(
  outgoing: ClientRequest,
  payload: EncodedBody['payload'],
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    outgoing.on('response', resolve);
    // Stays for errors that come after the answer began: those show up where the body is read.
    outgoing.on('error', reject);
    if (payload === undefined || typeof payload === 'string' || payload instanceof Uint8Array) {
      outgoing.end(payload);
    } else {
      pipeline(Readable.from(payload), outgoing).catch(reject);
    }
  });
}

interface EncodedBody {
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: Buffer | string | AsyncIterable<Uint8Array> | undefined;
}

async function encodeBody(body: HttpRequest['body']): Promise<EncodedBody> {
  if (body === undefined) return { headers: {}, payload: undefined };
  if (typeof body === 'string') {
    return { headers: describeContent('application/json', Buffer.byteLength(body)), payload: body };
  }
  if (!(body instanceof FormData)) {
    return { headers: describeContent(body.type, body.sizeBytes), payload: body.parts };
  }
  // Response knows how forms are written.
  const form = new Response(body);
  const payload = Buffer.from(await form.arrayBuffer());
  const type = form.headers.get('content-type') ?? 'multipart/form-data';
  return { headers: describeContent(type, payload.byteLength), payload };
}

function describeContent(type: string, bytes: number): Record<string, string> {
  return { 'content-type': type, 'content-length': String(bytes) };
}

/**
 * The body of an answer; undefined as soon as there is too much of it.
 * @throws when the connection ends before it
 */
export function readLimited(
  incoming: IncomingMessage,
  maxBytes: number,
): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let size = 0;
    incoming.on('data', (part: Buffer) => {
      size += part.byteLength;
      parts.push(part);
      if (size <= maxBytes) return;
      resolve(undefined);
      incoming.destroy();
    });
    incoming.on('end', () => {
      resolve(Buffer.concat(parts));
    });
    incoming.on('error', reject);
    incoming.on('close', () => {
      reject(new Error('the connection was closed'));
    });
  });
}
