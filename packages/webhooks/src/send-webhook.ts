import { request as requestHttp, type ClientRequest, type IncomingMessage } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { LookupFunction } from 'node:net';
import { raceAbort, startTimer } from '@tiercel/runtime';
import { AddressRefused, type Address, type AddressGuard } from './address-guard.ts';

/** What came of a try; `code` is a word for the log. */
export type SendResult =
  | { readonly status: number; readonly retryAfterMs: number | undefined }
  | { readonly code: SendFailure };

type SendFailure =
  | 'address_refused'
  | 'name_not_found'
  | 'unreachable'
  | 'tls_failed'
  | 'timeout'
  | 'broken_off'
  | 'stopped';

export interface SendOptions {
  readonly guard: AddressGuard;
  readonly connectTimeoutMs: number;
  /** From the lookup to the end of the answer. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Of an answer's body this much is read, and thrown away; then the connection is cut. */
const MAX_ANSWER_BYTES = 16 * 1024;
/** Its status has said all: whoever is slow with the rest is cut off, and has answered all the same. */
const MAX_ANSWER_MS = 1_000;

/**
 * Sends one POST. It connects only to addresses that the guard has checked, follows no redirect, knows no proxy, and
 * shares no connection with others. The answer is its status line; its body is not kept. Never throws.
 */
export async function sendWebhook(
  url: URL,
  { headers, body }: { readonly headers: Readonly<Record<string, string>>; readonly body: string },
  options: SendOptions,
): Promise<SendResult> {
  const cut = new AbortController();
  const { signal } = cut;
  const abort = (): void => {
    cut.abort();
  };
  // By hand: AbortSignal.any keeps what it made reachable from a signal that lives as long as a worker.
  if (options.signal.aborted) abort();
  else options.signal.addEventListener('abort', abort);
  const timer = startTimer(abort, options.timeoutMs);
  try {
    const addresses = await raceAbort(options.guard.resolve(url.hostname), signal);
    return await exchange(url, {
      ...{ headers, body, addresses, signal },
      connectTimeoutMs: options.connectTimeoutMs,
    });
  } catch (error) {
    if (options.signal.aborted) return { code: 'stopped' };
    return { code: signal.aborted ? 'timeout' : codeOf(error) };
  } finally {
    clearTimeout(timer);
    options.signal.removeEventListener('abort', abort);
  }
}

interface Exchange {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly addresses: readonly Address[];
  readonly signal: AbortSignal;
  readonly connectTimeoutMs: number;
}

function exchange(url: URL, sent: Exchange): Promise<SendResult> {
  const send = url.protocol === 'https:' ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const req = send(url, {
      method: 'POST',
      // A connection of its own, which is checked; the shared agent may know others, and proxies.
      agent: false,
      lookup: pinned(sent.addresses),
      signal: sent.signal,
      maxHeaderSize: 16 * 1024,
      headers: { ...sent.headers, 'Content-Length': Buffer.byteLength(sent.body) },
    });
    const stopConnecting = limitConnecting(req, sent.connectTimeoutMs);
    let answer: SendResult | undefined;
    const settle = (): void => {
      stopConnecting();
      req.destroy();
      if (answer !== undefined) resolve(answer);
      else reject(new Error('broken off'));
    };
    req.on('response', (res) => {
      answer = { status: res.statusCode ?? 0, retryAfterMs: readRetryAfter(res) };
      const timer = setTimeout(settle, MAX_ANSWER_MS);
      req.on('close', () => {
        clearTimeout(timer);
      });
      discard(res, settle);
    });
    req.on('error', (error) => {
      stopConnecting();
      // A receiver that has answered and then breaks off has answered.
      if (answer !== undefined) resolve(answer);
      else reject(error);
    });
    req.on('close', settle);
    req.end(sent.body);
  });
}

/** Gives net.connect the addresses that were checked, whatever the name means by now. */
function pinned(addresses: readonly Address[]): LookupFunction {
  return (_hostname, options, callback) => {
    const [first] = addresses;
    if (options.all === true) callback(null, [...addresses]);
    else callback(null, first?.address ?? '', first?.family ?? 4);
  };
}

function limitConnecting(req: ClientRequest, timeoutMs: number): () => void {
  const timer = startTimer(() => {
    req.destroy(Object.assign(new Error('not reached in time'), { code: 'ETIMEDOUT' }));
  }, timeoutMs);
  const stop = (): void => {
    clearTimeout(timer);
  };
  req.on('socket', (socket) => {
    socket.once(
      socket instanceof Object && 'encrypted' in socket ? 'secureConnect' : 'connect',
      stop,
    );
  });
  return stop;
}

function discard(res: IncomingMessage, done: () => void): void {
  let bytes = 0;
  res.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES) done();
  });
  res.on('end', done);
  res.on('error', () => undefined); // told to the request too
}

function readRetryAfter({ headers }: IncomingMessage): number | undefined {
  const text = headers['retry-after'];
  if (text === undefined) return undefined;
  if (/^\d{1,6}$/.test(text.trim())) return Number(text) * 1_000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now());
}

function codeOf(error: unknown): SendFailure {
  if (error instanceof AddressRefused) return 'address_refused';
  const code = systemCode(error);
  if (['ENOTFOUND', 'EAI_AGAIN', 'EAI_NODATA', 'EAI_NONAME'].includes(code))
    return 'name_not_found';
  if (code === 'ETIMEDOUT') return 'timeout';
  if (['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL', 'EACCES'].includes(code)) {
    return 'unreachable';
  }
  return /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|EPROTO)/.test(code)
    ? 'tls_failed'
    : 'broken_off';
}

/** Of several addresses that were tried the first one's. (Errors of the platform may be of another realm.) */
function systemCode(error: unknown): string {
  if (typeof error !== 'object' || error === null) return '';
  if ('errors' in error && Array.isArray(error.errors) && error.errors.length > 0) {
    return systemCode(error.errors[0]);
  }
  return 'code' in error ? String(error.code) : '';
}
