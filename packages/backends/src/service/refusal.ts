import type { JsonValue } from '@tiercel/contracts';
import { AttemptError, type AttemptClass } from '../failures.ts';
import { classifyStatus } from '../http-failures.ts';

/** An answer that is no success. */
export interface Refusal {
  readonly status: number;
  /** Its body; undefined when that is no JSON. */
  readonly json: JsonValue | undefined;
  /** What Retry-After asks for. */
  readonly retryAfterMs?: number | undefined;
}

/** What a refusal stands for. */
export interface Verdict {
  readonly class: AttemptClass;
  /** When the vendor's own rules say that it can be asked again; else Retry-After counts. */
  readonly retryAtMs?: number | undefined;
  /** A smaller batch may do. */
  readonly isOutOfMemory?: boolean;
  /** The vendor's own words; shown only where the caller is to blame. */
  readonly says?: string | undefined;
}

/** Reads a vendor's own error codes; undefined where its status alone tells. */
export type Classifier = (refusal: Refusal) => Verdict | undefined;

/** Longer texts of vendors are cut. */
const MAX_SAID = 200;
/** A time further off is asked for again, at the latest, after this. */
const MAX_RETRY_AFTER_MS = 24 * 3_600_000;

const SAYINGS: Readonly<Record<AttemptClass, string>> = {
  caller: 'rejected the request',
  safety: 'refused the content',
  unsupported: 'cannot do what was asked',
  config: 'rejected the way it is set up (key, model or URL)',
  quota: 'has no quota left',
  rate: 'was asked too often',
  capacity: 'has no capacity at the moment',
  timeout: 'ran out of time',
  network: 'could not be reached',
  server: 'failed',
  bad_output: 'answered with something unusable',
};

/**
 * The failure that a refusal stands for: by the vendor's codes first, else by its status.
 * @param secret the key; cut out of whatever the vendor says
 */
export function toAttemptError(
  vendor: string,
  refusal: Refusal,
  { classify, secret }: { classify?: Classifier | undefined; secret?: string | undefined } = {},
): AttemptError {
  const verdict: Verdict = classify?.(refusal) ?? {
    class: classifyStatus(refusal.status, 'caller'),
  };
  const isTold = verdict.class === 'caller' || verdict.class === 'safety';
  const said = isTold ? quote(verdict.says, secret) : '';
  const message = `${vendor} ${SAYINGS[verdict.class]} (${refusal.status})${said}`;
  return new AttemptError(verdict.class, message, {
    retryAtMs: isTold ? undefined : findRetryTime(verdict, refusal),
    isOutOfMemory: verdict.isOutOfMemory === true,
  });
}

function findRetryTime(verdict: Verdict, { retryAfterMs }: Refusal): number | undefined {
  if (verdict.retryAtMs !== undefined) return verdict.retryAtMs;
  if (retryAfterMs === undefined) return undefined;
  return Date.now() + Math.min(retryAfterMs, MAX_RETRY_AFTER_MS);
}

function quote(text: string | undefined, secret: string | undefined): string {
  if (text === undefined || text === '') return '';
  const safe = secret === undefined || secret === '' ? text : text.replaceAll(secret, '[key]');
  const plain = safe.replace(/\s+/g, ' ').trim();
  return `: ${plain.length > MAX_SAID ? `${plain.slice(0, MAX_SAID)}...` : plain}`;
}

/**
 * The JSON in a body, or undefined. Natively parsed, not by `parseJson`: answers hold megabytes of base64
 * beside seeds of 64 bits, and the exact parser would hold up the process for integers that nobody reads.
 */
export function tryReadJson(bytes: Uint8Array): JsonValue | undefined {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8')) as JsonValue; // what JSON.parse returns
  } catch {
    return undefined;
  }
}
