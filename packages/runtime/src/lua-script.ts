import { createHash } from 'node:crypto';
import type { Redis } from './redis.ts';

/**
 * A Lua script, sent by its hash. Redis forgets scripts when it restarts, so an unknown hash is
 * answered by sending the text once more. All scripts take the key prefix as ARGV[1] and build their
 * keys from it: which keys a transition touches depends on the record it reads.
 */
export class LuaScript {
  readonly #source: string;
  readonly #sha: string;

  constructor(source: string) {
    this.#source = source;
    this.#sha = createHash('sha1').update(source).digest('hex');
  }

  async run(
    redis: Redis,
    prefix: string,
    args: readonly (string | number | Buffer)[],
  ): Promise<unknown> {
    try {
      return await redis.evalsha(this.#sha, 0, prefix, ...args);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
      return await redis.eval(this.#source, 0, prefix, ...args);
    }
  }
}
