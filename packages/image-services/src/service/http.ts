import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { LookupFunction } from 'node:net';
import { stringifyJson } from '@tiercel/contracts';
import { AttemptError } from '@tiercel/routing';
import {
  describeNoAnswer,
  exchangeHttp,
  HttpBreak,
  MAX_RETRY_AFTER_MS,
  parseDuration,
  parseRetryAfter,
  readLimited,
} from '@tiercel/upstream-http';
import { badOutput } from './read-picture.ts';
import { type Classifier, type Refusal, toAttemptError, tryReadJson } from './refusal.ts';

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
  /** Finds the addresses of the host; default: the system's way. */
  readonly lookup?: LookupFunction;
}

const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
const MAX_REFUSAL_BYTES = 64 * 1024;

/**
 * Asks a service and reads its answer whole.
 * Each request has its own connection: an idle one that the vendor has just closed would cost an attempt, or
 * a second render, to save milliseconds of seconds.
 * @returns the body of a 2xx answer
 * @throws AttemptError, or the reason of the signal
 */
export async function callService(call: ServiceCall): Promise<Buffer> {
  const { method, url, headers = {}, signal, lookup } = call;
  const body =
    call.body === undefined || call.body instanceof FormData ? call.body : stringifyJson(call.body);
  try {
    return await exchangeHttp(
      { ...{ method, url, headers, signal, body }, ...(lookup === undefined ? {} : { lookup }) },
      (answer) => readAnswer(call, answer, countBytes(body)),
    );
  } catch (error) {
    if (error instanceof HttpBreak) throw describeBreak(call, error);
    throw error;
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

async function readAnswer(
  call: ServiceCall,
  response: IncomingMessage,
  sentBytes: number,
): Promise<Buffer> {
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
    ...{ status, sentBytes },
    json: bytes === undefined ? undefined : tryReadJson(bytes),
    ...readRetryAfter(headers, Date.now()),
  };
  throw toAttemptError(call.vendor, refusal, call);
}

/** What a form adds around its fields is left out. */
function countBytes(body: string | FormData | undefined): number {
  if (!(body instanceof FormData)) return Buffer.byteLength(body ?? '');
  let bytes = 0;
  for (const [, value] of body) {
    bytes += typeof value === 'string' ? Buffer.byteLength(value) : value.size;
  }
  return bytes;
}

function describeBreak(call: ServiceCall, { kind, cause }: HttpBreak): AttemptError {
  const options = { cause };
  if (kind === 'broken_off') {
    return new AttemptError('network', `${call.vendor} broke off its answer`, options);
  }
  const failure = describeNoAnswer(cause, call.method);
  const what = failure.class === 'timeout' ? 'did not answer in time' : 'could not be reached';
  return new AttemptError(failure.class, `${call.vendor} ${what}`, options);
}

const RESET = /^x-ratelimit-reset-(.+)$/;

/**
 * When a service wants to be asked again: `Retry-After`; `retry-after-ms`, which OpenAI and Azure send beside it and
 * which is exact; and of OpenAI's `x-ratelimit-reset-*` those of the limits that are used up.
 */
function readRetryAfter(
  headers: IncomingHttpHeaders,
  nowMs: number,
): Pick<Refusal, 'retryAfterMs' | 'rateResetMs'> {
  const exact = /^\d+(?:\.\d+)?$/.exec(textOf(headers, 'retry-after-ms').trim())?.[0];
  const retryAfterMs =
    exact === undefined
      ? parseRetryAfter(headers['retry-after'], nowMs)
      : Math.min(Number(exact), MAX_RETRY_AFTER_MS);
  return { retryAfterMs, rateResetMs: findReset(headers) };
}

function findReset(headers: IncomingHttpHeaders): number | undefined {
  const resets = Object.keys(headers).flatMap((name) => {
    const limit = RESET.exec(name)?.[1];
    if (limit === undefined) return [];
    const remaining = textOf(headers, `x-ratelimit-remaining-${limit}`);
    const isUsedUp = remaining === '' || Number(remaining) <= 0;
    return isUsedUp ? (parseDuration(textOf(headers, name)) ?? []) : [];
  });
  const last = Math.max(0, ...resets);
  // One that is over says nothing of why the answer came.
  return last > 0 ? last : undefined;
}

function textOf(headers: IncomingHttpHeaders, name: string): string {
  const value = headers[name];
  return typeof value === 'string' ? value : '';
}
