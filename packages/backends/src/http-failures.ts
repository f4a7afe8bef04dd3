import type { AttemptClass } from './failures.ts';

/** A request to a backend that came to nothing. */
export interface HttpFailure {
  readonly class: AttemptClass;
  /** What happened, without the host: `answered 503 to GET /queue`. */
  readonly what: string;
  readonly status?: number | undefined;
  readonly uncertain: boolean;
  readonly retryAfterMs?: number | undefined;
}

/** Whose fault a 400, 413 or 422 is: `caller` when the request carried something of the caller's. */
export type Blame = 'caller' | 'us';

/** The class of an answer that is no success. A redirect is a wrong URL in the configuration, or a login page. */
export function classifyStatus(status: number, blame: Blame): AttemptClass {
  switch (status) {
    case 400:
    case 413:
    case 422:
      return blame === 'caller' ? 'caller' : 'config';
    case 402:
      return 'quota';
    case 408:
      return 'timeout';
    case 429:
      return 'rate';
    case 503:
      return 'capacity';
    default:
      return status >= 500 ? 'server' : 'config';
  }
}

/** Whether the server may have done what it was asked, though it did not say so. */
export function mayHaveActed(status: number): boolean {
  return status >= 500 || status === 408;
}

/** `Retry-After` in milliseconds: seconds, or a date. */
export function parseRetryAfter(
  header: string | null | undefined,
  nowMs: number,
): number | undefined {
  if (header === undefined || header === null || header === '') return undefined;
  const ms = /^\d+$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - nowMs;
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}

/** Codes of failures from before a connection stood: the server has not seen the request. */
const NEVER_SENT = new Set([
  ...['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL'],
  ...['EHOSTDOWN', 'ENETDOWN', 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ...['CERT_HAS_EXPIRED', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN'],
  ...['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'EPROTO'],
]);

/**
 * What the connection failed with before an answer began.
 * @param route `GET /queue`
 */
export function describeNoAnswer(error: unknown, route: string): HttpFailure {
  const code = codeOf(error);
  const uncertain = !NEVER_SENT.has(code ?? '');
  const why = code === undefined ? '' : ` (${code})`;
  return code === 'ETIMEDOUT'
    ? { class: 'timeout', what: `did not answer ${route} in time${why}`, uncertain }
    : { class: 'network', what: `could not be reached for ${route}${why}`, uncertain };
}

function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
