import type { AttemptClass, JsonValue } from '@tiercel/contracts';
import { AttemptError } from '@tiercel/routing';
import { classifyStatus } from '@tiercel/upstream-http';
import { blamesCaller, namedFields } from './blame.ts';
import { readErrorBody } from './error-body.ts';

/** An answer that is no success. */
export interface Refusal {
  readonly status: number;
  /** Its body; undefined when that is no JSON. */
  readonly json: JsonValue | undefined;
  /** What Retry-After asks for. */
  readonly retryAfterMs?: number | undefined;
  /** When a limit of requests that is used up begins anew; says nothing of other refusals. */
  readonly rateResetMs?: number | undefined;
  /** Of the request that was refused. */
  readonly sentBytes?: number;
}

/** What a refusal stands for. */
export interface ClassifiedRefusal {
  readonly class: AttemptClass;
  /** When the vendor's own rules say that it can be asked again; else Retry-After counts. */
  readonly retryAtMs?: number | undefined;
  /** A smaller batch may do. */
  readonly isOutOfMemory?: boolean;
  /** The vendor's own words; shown only where the caller is to blame. */
  readonly says?: string | undefined;
  /** The vendor's name for it. */
  readonly code?: string | undefined;
  /** Fields of the request that it names. */
  readonly fields?: readonly string[] | undefined;
}

/** Reads a vendor's refusals; undefined where its status alone tells. */
export type Classifier = (refusal: Refusal) => ClassifiedRefusal | undefined;

/** What a vendor's refusals are read by. */
export interface VendorWords {
  /** Codes that say more than the status, in whatever status they come. */
  readonly codes: Readonly<Record<string, AttemptClass>>;
  /** Fields of its requests that carry what the caller wrote or uploaded. */
  readonly callersFields: ReadonlySet<string>;
}

const BLAMING_STATUSES = new Set([400, 413, 422]);
/** No prompt is this long: a request of more bytes carries a picture of the caller's. */
const LONGEST_PROMPT_BYTES = 200_000;
/** Longer texts of vendors are cut. */
const MAX_SAID = 200;
const CODE = /^[\w.-]{1,40}$/;

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
  budget: 'took longer than may be spent',
};

/**
 * What a refusal stands for: by the vendor's codes first, whatever the status; a 400, 413 or 422 by what it names;
 * any other by its status (docs/fallback.md, "Who is to blame").
 * @returns undefined for an answer of 200 that says nothing definite
 */
export function classifyRefusal(
  refusal: Refusal,
  words: VendorWords,
): ClassifiedRefusal | undefined {
  const body = readErrorBody(refusal.json);
  const code = body?.codes.find((candidate) => Object.hasOwn(words.codes, candidate));
  const facts = {
    says: body?.texts[0],
    code: code ?? body?.codes[0],
    fields: body === undefined ? [] : namedFields(body),
  };
  const known = code === undefined ? undefined : words.codes[code];
  if (known !== undefined) return { ...facts, class: known };
  const isVague = refusal.status < 300 || BLAMING_STATUSES.has(refusal.status);
  const status = (isVague ? body?.status : undefined) ?? refusal.status;
  const mayBlame = status < 300 || BLAMING_STATUSES.has(status);
  if (body !== undefined && mayBlame && blamesCaller(body, words.callersFields)) {
    return { ...facts, class: 'caller' };
  }
  if (status < 300) return undefined;
  // No name is needed to see what was too large.
  const isPicture = status === 413 && (refusal.sentBytes ?? 0) > LONGEST_PROMPT_BYTES;
  return { ...facts, class: isPicture ? 'unsupported' : classifyStatus(status, 'us') };
}

/**
 * The failure that a refusal stands for.
 * @param secret the key; cut out of whatever the vendor says
 */
export function toAttemptError(
  vendor: string,
  refusal: Refusal,
  { classify, secret }: { classify?: Classifier | undefined; secret?: string | undefined } = {},
): AttemptError {
  const classified: ClassifiedRefusal = classify?.(refusal) ?? {
    class: classifyStatus(refusal.status, 'us'),
  };
  const isQuoted = classified.class === 'caller' || classified.class === 'safety';
  const said = isQuoted ? quote(classified.says, secret) : '';
  const code = classified.class === 'config' ? nameCode(classified.code, secret) : '';
  const message = `${vendor} ${SAYINGS[classified.class]} (${refusal.status}${code})${said}`;
  return new AttemptError(classified.class, message, {
    retryAtMs: isQuoted ? undefined : findRetryTime(classified, refusal),
    isOutOfMemory: classified.isOutOfMemory === true,
    refusedFields: classified.fields,
  });
}

/**
 * The failure that an answer of 200 without a picture tells of: some gateways wrap refusals so.
 * @returns undefined when it tells of none that is known
 */
export function findRefusalInside(
  vendor: string,
  json: JsonValue | undefined,
  options: { classify: Classifier; secret?: string | undefined },
): AttemptError | undefined {
  const classified = options.classify({ status: 200, json });
  if (classified === undefined) return undefined;
  return toAttemptError(vendor, { status: 200, json }, { ...options, classify: () => classified });
}

/** What of the refusal helps whoever set the tier up, and cannot be a secret. */
function nameCode(code: string | undefined, secret: string | undefined): string {
  const isPlain = code !== undefined && CODE.test(code) && code !== secret;
  return isPlain ? `, ${code}` : '';
}

function findRetryTime(
  classified: ClassifiedRefusal,
  { retryAfterMs, rateResetMs }: Refusal,
): number | undefined {
  if (classified.retryAtMs !== undefined) return classified.retryAtMs;
  const afterMs = retryAfterMs ?? (classified.class === 'rate' ? rateResetMs : undefined);
  return afterMs === undefined ? undefined : Date.now() + afterMs;
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
