import type { AttemptClass } from '@tiercel/contracts';

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

/** A time further off is asked for again, at the latest, after this. */
export const MAX_RETRY_AFTER_MS = 24 * 3_600_000;
/** Seconds, with a fraction where a server counts more finely than HTTP does. */
const SECONDS = /^\d+(?:\.\d*)?$|^\.\d+$/;
/** HTTP's three forms of a date begin with the day of the week. `Date.parse` alone takes nearly any text with a number. */
const HTTP_DATE = /^(?:mon|tue|wed|thu|fri|sat|sun)/i;
const HAS_ZONE = /(?:GMT|UTC|[+-]\d{4})$/i;

/**
 * `Retry-After` in milliseconds from now, at most a day: seconds, a date, or as some write it a duration.
 * @returns undefined when there is none, or it cannot be read: what the failure itself stands for decides then
 */
export function parseRetryAfter(
  header: string | null | undefined,
  nowMs: number,
): number | undefined {
  const text = header?.trim() ?? '';
  const ms = SECONDS.test(text)
    ? Number(text) * 1_000
    : (parseDuration(text) ?? parseDate(text) - nowMs);
  // A date that has passed was counted by another clock: it says nothing.
  return Number.isNaN(ms) || ms < 0 ? undefined : Math.min(Math.ceil(ms), MAX_RETRY_AFTER_MS);
}

/** Epoch ms, or NaN. */
function parseDate(text: string): number {
  if (!HTTP_DATE.test(text)) return NaN;
  // The oldest form names no zone, which HTTP takes for GMT and JavaScript for the machine's own.
  return Date.parse(HAS_ZONE.test(text) ? text : `${text} GMT`);
}

const DURATION = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?$/;

/**
 * A duration as OpenAI's `x-ratelimit-reset-*` write it (`6m0s`, `1.5s`, `120ms`), in milliseconds, at most a day;
 * undefined when it is none.
 */
export function parseDuration(text: string | undefined): number | undefined {
  // A group that is not there is undefined.
  const parts: (string | undefined)[] = DURATION.exec(text?.trim() ?? '')?.slice(1) ?? [];
  if (parts.every((part) => part === undefined)) return undefined;
  const [hours = 0, minutes = 0, seconds = 0, ms = 0] = parts.map((part) => Number(part ?? 0));
  return Math.min(((hours * 60 + minutes) * 60 + seconds) * 1_000 + ms, MAX_RETRY_AFTER_MS);
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
