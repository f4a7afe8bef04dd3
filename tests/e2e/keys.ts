import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { http, type RawHttp, type ServiceOptions } from '@tiercel/testkit';

/** The command that makes API keys, as an operator uses it, and callers that send one. */

export const ROOT = join(import.meta.dirname, '../..');

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly errors: string;
}

/** `npm run -s keys -- ...` in the environment of a system. */
export function runKeys(options: Partial<ServiceOptions>, ...args: string[]): Promise<Outcome> {
  const { redisUrl = '', redisPrefix = 'tiercel', dataDir = '', configFile = '' } = options;
  const settings = [
    ...[`REDIS_URL=${redisUrl}`, `REDIS_PREFIX=${redisPrefix}`, `DATA_DIR=${dataDir}`],
    `TIERCEL_CONFIG=${configFile}`,
  ];
  const program = [process.execPath, join(ROOT, 'apps/keys/dist/main.js')];
  return new Promise((resolve) => {
    execFile('env', [...settings, ...program, ...args], (error, out, errors) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, errors });
    });
  });
}

interface PrintedKey {
  readonly id: string;
  readonly key: string;
}

export async function makeKey(
  options: Partial<ServiceOptions>,
  ...args: string[]
): Promise<PrintedKey> {
  const { out, errors } = await runKeys(options, 'create', ...args, '--json');
  expect([errors, out.trim().split('\n').length]).toEqual(['', 1]);
  return JSON.parse(out) as PrintedKey;
}

/** Requests of whoever has this key. */
export function httpWithKey(url: string, key: string): RawHttp {
  return http(url, { 'x-api-key': key });
}
