import { isAppError } from '@tiercel/contracts';
import { sleep } from './timers.ts';

/**
 * Codes of Redis' own errors that mean "not now". Most concern every command (LOADING, NOAUTH), some only
 * those that write: the disk is full or cannot be written (MISCONF), the memory is full (OOM), or the
 * server has become a replica (READONLY), or has lost its own (NOREPLICAS). EXECABORT is one of them met
 * within a transaction.
 */
const CODES = [
  'BUSY',
  'CLUSTERDOWN',
  'EXECABORT',
  'FAILOVER',
  'LOADING',
  'MASTERDOWN',
  'MISCONF',
  'NOAUTH',
  'NOREPLICAS',
  'OOM',
  'READONLY',
  'TRYAGAIN',
  'UNBLOCKED',
  'WRONGPASS',
];
/** Redis 6 tells where in a script the error was met before it tells the error. */
const REPLY = new RegExp(`^(?:ERR .*?: ?-)?(${CODES.join('|')}) `);
const TOO_MANY_CLIENTS = /^ERR max number of clients/;

/** What ioredis says of a command whose connection is not there; these errors have no code. */
const CONNECTION_MESSAGES = new Set([
  "Stream isn't writeable and enableOfflineQueue options is false",
  'Connection is closed.',
  'Command aborted due to connection close',
  'Command timed out',
]);

/** A connection to Redis could not be made, or broke. */
export class RedisConnectionError extends Error {
  constructor(cause: Error) {
    super(`the connection to Redis: ${cause.message}`, { cause });
    this.name = 'RedisConnectionError';
  }
}

/**
 * Why Redis cannot serve now, in a word or two; undefined for an error that says nothing of Redis. Only errors
 * that come from the client of Redis count: the ECONNRESET of another socket, or the ENOENT of a file, is
 * somebody else's.
 */
export function findRedisTrouble(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if (isAppError(error))
    return error.cause === undefined ? undefined : findRedisTrouble(error.cause);
  switch (error.name) {
    case 'ReplyError': {
      if (TOO_MANY_CLIENTS.test(error.message)) return 'too many clients';
      return REPLY.exec(error.message)?.[1];
    }
    case 'MaxRetriesPerRequestError':
    case 'RedisConnectionError':
      return 'no connection';
    default:
      if (!CONNECTION_MESSAGES.has(error.message)) return undefined;
      return error.message === 'Command timed out' ? 'no answer in time' : 'no connection';
  }
}

/** Whether an error means "Redis cannot serve now, try again". */
export function isRedisUnavailable(error: unknown): boolean {
  return findRedisTrouble(error) !== undefined;
}

const FIRST_DELAY_MS = 50;
const MAX_DELAY_MS = 1_000;

/**
 * Asks Redis until it serves: while it is away, loading, full (OOM), cannot save (MISCONF), or is a replica
 * (READONLY, NOREPLICAS). What is asked must bear to be asked twice. Other errors are passed on.
 * @param options `signal` ends the waiting; `onRefused` hears of each refusal, `first` once
 * @throws the signal's reason when it is aborted, whatever else was thrown
 */
export async function untilServed<T>(
  ask: () => Promise<T>,
  options: {
    readonly signal?: AbortSignal | undefined;
    readonly onRefused?: (error: unknown, isFirst: boolean) => void;
  } = {},
): Promise<T> {
  const { signal, onRefused } = options;
  for (let tries = 0; ; tries += 1) {
    try {
      return await ask();
    } catch (error) {
      if (!isRedisUnavailable(error)) throw error;
      onRefused?.(error, tries === 0);
    }
    const delayMs = Math.min(FIRST_DELAY_MS * 2 ** tries, MAX_DELAY_MS);
    await sleep(delayMs, signal).catch(() => undefined);
    signal?.throwIfAborted();
  }
}
