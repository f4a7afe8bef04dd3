import { request as requestHttp, type ClientRequest, type IncomingMessage } from 'node:http';
import { request as requestHttps } from 'node:https';
import { stringifyJson } from '@tiercel/contracts';
import { describeNoAnswer, parseRetryAfter } from '../http-failures.ts';
import { AttemptError } from '../failures.ts';
import { readLimited } from '../read-limited.ts';
import { badOutput } from './read-picture.ts';
import { toAttemptError, tryReadJson, type Classifier } from './refusal.ts';

/** One request to a service. */
export interface ServiceCall {
  /** What messages call the service. */
  readonly vendor: string;
  readonly method: 'GET' | 'POST';
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON, bigints as plain digits; or a form. */
  readonly body?: Readonly<Record<string, unknown>> | FormData;
  /** Of `runInTime`: carries the time limit. */
  readonly signal: AbortSignal;
  /** Of the answer; default 64 MiB. */
  readonly maxBytes?: number;
  readonly classify?: Classifier;
  /** The key, kept out of messages. */
  readonly secret?: string | undefined;
}

const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
const MAX_REFUSAL_BYTES = 64 * 1024;

/**
 * Asks a service and reads its answer whole.
 *
 * Over node:http instead of fetch: fetch ends every request after 300 s without headers or body, and a
 * slow render takes longer; here the caller's time limit is the only one. Each request has its own
 * connection: an idle one that the vendor has just closed would cost an attempt, or a second render, to
 * save milliseconds of seconds.
 *
 * A redirect is not followed: it could carry prompts and keys to another host, and is a wrong URL in the
 * configuration or a login page.
 * @returns the body of a 2xx answer
 * @throws AttemptError, or the reason of the signal
 */
export async function callService(call: ServiceCall): Promise<Buffer> {
  call.signal.throwIfAborted();
  const { headers, payload } = await encodeBody(call.body);
  const open = call.url.protocol === 'https:' ? requestHttps : requestHttp;
  const request = open(call.url, {
    method: call.method,
    headers: { accept: '*/*', ...headers, ...call.headers },
    agent: false,
  });
  const abort = (): void => {
    request.destroy();
  };
  call.signal.addEventListener('abort', abort);
  let isAnswered = false;
  try {
    const response = await receiveHead(request, payload);
    isAnswered = true;
    return await readAnswer(call, response);
  } catch (error) {
    call.signal.throwIfAborted();
    if (error instanceof AttemptError) throw error;
    throw describeBreak(call, error, isAnswered);
  } finally {
    call.signal.removeEventListener('abort', abort);
    request.destroy();
  }
}

/** A URL below a service's address; the address keeps its query (`?api-version=...`). */
export function joinUrl(base: string, path: string): URL {
  const url = new URL(base);
  url.pathname = `${url.pathname.replace(/\/+$/, '')}${path}`;
  return url;
}

/** Headers of a bearer key; none without one. */
export function bearer(apiKey: string | undefined): Record<string, string> {
  return apiKey === undefined || apiKey === '' ? {} : { authorization: `Bearer ${apiKey}` };
}

async function encodeBody(
  body: ServiceCall['body'],
): Promise<{ headers: Record<string, string>; payload: Buffer | undefined }> {
  if (body === undefined) return { headers: {}, payload: undefined };
  if (!(body instanceof FormData)) {
    return encoded('application/json', Buffer.from(stringifyJson(body)));
  }
  // Response knows how forms are written.
  const form = new Response(body);
  const type = form.headers.get('content-type') ?? 'multipart/form-data';
  return encoded(type, Buffer.from(await form.arrayBuffer()));
}

function encoded(
  type: string,
  payload: Buffer,
): { headers: Record<string, string>; payload: Buffer } {
  return {
    headers: { 'content-type': type, 'content-length': String(payload.byteLength) },
    payload,
  };
}

function receiveHead(
  request: ClientRequest,
  payload: Buffer | undefined,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.on('response', resolve);
    // Stays for errors that come after the answer began: those show up where the body is read.
    request.on('error', reject);
    request.end(payload);
  });
}

async function readAnswer(call: ServiceCall, response: IncomingMessage): Promise<Buffer> {
  const { statusCode: status = 0, headers } = response;
  if (status >= 200 && status < 300) {
    const maxBytes = call.maxBytes ?? MAX_ANSWER_BYTES;
    const bytes = await readLimited(response, maxBytes);
    if (bytes === undefined) throw badOutput(call.vendor, `over ${maxBytes} bytes`);
    return bytes;
  }
  // The status tells enough, even when its body does not come through.
  const bytes = await readLimited(response, MAX_REFUSAL_BYTES).catch(() => undefined);
  call.signal.throwIfAborted();
  const refusal = {
    status,
    json: bytes === undefined ? undefined : tryReadJson(bytes),
    retryAfterMs: parseRetryAfter(headers['retry-after'] ?? null, Date.now()),
  };
  throw toAttemptError(call.vendor, refusal, call);
}

function describeBreak(call: ServiceCall, error: unknown, isAnswered: boolean): AttemptError {
  const options = { cause: error };
  if (isAnswered) {
    return new AttemptError('network', `${call.vendor} broke off its answer`, options);
  }
  const failure = describeNoAnswer(error, call.method);
  const what = failure.class === 'timeout' ? 'did not answer in time' : 'could not be reached';
  return new AttemptError(failure.class, `${call.vendor} ${what}`, options);
}
