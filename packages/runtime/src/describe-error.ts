import { NO_MASK, type SecretMask } from './secret-mask.ts';

/** An error as it is written down: what is known to be safe of it, and nothing else that hangs on it. */
export interface DescribedError {
  readonly type: string;
  readonly message: string;
  readonly stack?: string;
  readonly cause?: DescribedError;
  readonly errors?: readonly DescribedError[];
  /** The members of SAFE_MEMBERS that it has. */
  readonly [member: string]: unknown;
}

/**
 * What tells an operator more than the message, and never holds what a caller or the configuration said. Errors of
 * libraries carry whole commands (ioredis: AUTH with its password, scripts with prompts and results), URLs and bodies.
 */
const SAFE_MEMBERS = ['code', 'class', 'status', 'syscall', 'host', 'kind', 'reason'] as const;

const MAX_TEXT = 8_192;
const MAX_CAUSES = 6;
const MAX_ERRORS = 8;

/** Describes anything that was thrown. Never throws. */
export function describeError(error: unknown, mask: SecretMask = NO_MASK): DescribedError {
  return describe(error, mask, 0);
}

/** In one line, for a person who started a process. */
export function summarizeError(error: unknown): string {
  const { type, message } = describeError(error);
  return type === 'Error' ? message : `${type}: ${message}`;
}

function describe(error: unknown, mask: SecretMask, depth: number): DescribedError {
  const read = (get: () => unknown): string => readText(get, mask);
  if (!isErrorLike(error)) return { type: typeof error, message: read(() => String(error)) };
  const name = read(() => error.name);
  const stack = read(() => error.stack);
  const safe: Record<string, string | number> = {};
  for (const member of SAFE_MEMBERS) {
    const value = readMember(error, member);
    if (typeof value === 'number') safe[member] = value;
    if (typeof value === 'string') safe[member] = mask.text(value);
  }
  const cause = readMember(error, 'cause');
  const errors = readMember(error, 'errors');
  const inner = (one: unknown): DescribedError => describe(one, mask, depth + 1);
  return {
    type: name === '' ? 'Error' : name,
    message: read(() => error.message),
    ...safe,
    ...(stack === '' ? {} : { stack }),
    ...(cause === undefined || cause === null || depth >= MAX_CAUSES
      ? {}
      : { cause: inner(cause) }),
    ...(Array.isArray(errors) && depth < MAX_CAUSES
      ? { errors: errors.slice(0, MAX_ERRORS).map(inner) }
      : {}),
  };
}

/** By its members: errors of another realm (Jest runs tests in one) are not of this Error class. */
function isErrorLike(error: unknown): error is Error {
  return (
    typeof error === 'object' && error !== null && typeof readMember(error, 'message') === 'string'
  );
}

/** A plug-in can throw anything, a proxy that throws in its turn included. */
function readMember(error: object, member: string): unknown {
  try {
    return (error as Readonly<Record<string, unknown>>)[member];
  } catch {
    return undefined;
  }
}

function readText(read: () => unknown, mask: SecretMask): string {
  let text: unknown;
  try {
    text = read();
  } catch {
    return 'something that cannot be read was thrown';
  }
  if (typeof text !== 'string') return '';
  // Cut after it was masked: half a secret would not be found.
  const safe = mask.text(withoutArguments(text));
  return safe.length > MAX_TEXT ? `${safe.slice(0, MAX_TEXT)}...` : safe;
}

/** Redis quotes a command that it does not know, V8 the JSON that it cannot read: both are callers' texts. */
function withoutArguments(text: string): string {
  return text
    .replace(/,? with args beginning with:[^\n]*/g, '')
    .replace(/, (?:\.{3})?"[^]*?"(?:\.{3})? is not valid JSON/g, ' in JSON');
}
