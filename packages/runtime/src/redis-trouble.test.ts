import { readFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import { AppError } from '@tiercel/contracts';
import { findRedisTrouble, isRedisUnavailable, RedisConnectionError } from './redis-trouble.ts';

function replyError(message: string): Error {
  const error = new Error(message);
  error.name = 'ReplyError';
  return error;
}

describe('an error of Redis that means "not now"', () => {
  test.each([
    ["OOM command not allowed when used memory > 'maxmemory'.", 'OOM'],
    ['OOM command not allowed. script: 1e7e, on @user_script:12.', 'OOM'],
    [
      'ERR Error running script (call to f_6b1b): @user_script:12: @user_script: 12: -MISCONF Errors writing to the AOF file: No space left on device',
      'MISCONF',
    ],
    ['MISCONF Redis is configured to save RDB snapshots, but it cannot.', 'MISCONF'],
    ["READONLY You can't write against a read only replica.", 'READONLY'],
    ['NOREPLICAS Not enough good replicas to write.', 'NOREPLICAS'],
    ['EXECABORT Transaction discarded because of previous errors.', 'EXECABORT'],
    ['LOADING Redis is loading the dataset in memory', 'LOADING'],
    ['BUSY Redis is busy running a script.', 'BUSY'],
    [
      "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
      'MASTERDOWN',
    ],
    ['NOAUTH Authentication required.', 'NOAUTH'],
    ['ERR max number of clients reached', 'too many clients'],
  ])('%s', (message, trouble) => {
    expect(findRedisTrouble(replyError(message))).toBe(trouble);
    expect(findRedisTrouble(new AppError('internal', 'x', { cause: replyError(message) }))).toBe(
      trouble,
    );
  });

  test.each([
    'Connection is closed.',
    'Command timed out',
    "Stream isn't writeable and enableOfflineQueue options is false",
    'Command aborted due to connection close',
  ])('%s', (message) => {
    expect(isRedisUnavailable(new Error(message))).toBe(true);
  });

  test('a connection that could not be made', () => {
    expect(isRedisUnavailable(new RedisConnectionError(new Error('connect ECONNREFUSED')))).toBe(
      true,
    );
  });
});

describe('an error that says nothing of Redis', () => {
  test.each([
    'WRONGTYPE Operation against a key holding the wrong kind of value',
    'ERR Error running script (call to f_1): @user_script:3: attempt to index a nil value',
    'ERR wrong number of arguments',
  ])('%s', (message) => {
    expect(isRedisUnavailable(replyError(message))).toBe(false);
  });

  test('of a file, of another socket, or of an abort', async () => {
    const missing: unknown = await readFile('/no/such/file').catch((error: unknown) => error);
    expect(missing).toMatchObject({ code: 'ENOENT' });
    const server = createServer((socket) => socket.resetAndDestroy()).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo; // not a pipe: it listens on a port
    const reset = await new Promise((resolve) => {
      connect(port, '127.0.0.1').once('error', resolve);
    });
    expect(reset).toMatchObject({ code: 'ECONNRESET' });
    server.close();
    const aborted: unknown = await fetch('http://127.0.0.1:1', {
      signal: AbortSignal.abort(),
    }).catch((error: unknown) => error);
    const epipe = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });
    const timedOut = Object.assign(new Error('read ETIMEDOUT'), { code: 'ETIMEDOUT' });
    for (const error of [missing, reset, aborted, epipe, timedOut, 'OOM ', undefined]) {
      expect(isRedisUnavailable(error)).toBe(false);
    }
  });
});
