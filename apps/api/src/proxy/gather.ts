import type { IncomingMessage } from 'node:http';
import { parseJson, type JsonValue } from '@tiercel/contracts';
import type { Logger } from '@tiercel/runtime';
import type { Request } from 'express';
import { askServer } from './ask-server.ts';
import type { ServerPool } from './server-pool.ts';

/**
 * What each server of the pool answers to a GET for JSON, in the order in which workers list the servers. One that
 * does not answer in time, or with anything but 200 and JSON, is left out. Never rejects.
 * @param req on whose behalf they are asked
 */
export type Gather = (req: Request, target: string) => Promise<readonly JsonValue[]>;

export interface GatherDeps {
  readonly pool: ServerPool;
  /** Names this process in `Via`: a server of the pool that is, in the end, this process is asked nothing. */
  readonly via: string;
  readonly log: Logger;
}

/** Of all servers together: a page waits for it. */
const WAIT_MS = 3_000;
/** Of one answer: a model library of 100,000 files. */
const MAX_BYTES = 16 * 1024 * 1024;

export function createGather({ pool, via, log }: GatherDeps): Gather {
  const ask = async (server: URL, target: string, signal: AbortSignal): Promise<JsonValue[]> => {
    try {
      const answer = await askServer(
        server,
        { method: 'GET', target, headers: { via, accept: 'application/json' }, body: undefined },
        { connectMs: WAIT_MS, answerMs: WAIT_MS, silenceMs: WAIT_MS, maxBodyBytes: 0, signal },
      );
      const text = await readText(answer, signal);
      return answer.statusCode === 200 && text !== undefined ? [parseJson(text)] : [];
    } catch (error) {
      log.debug({ err: error, server: server.host, target }, 'a server could not be asked');
      return [];
    }
  };

  return async (req, target) => {
    if (req.headers.via?.includes(via) === true) return [];
    const signal = AbortSignal.timeout(WAIT_MS);
    const answers = await Promise.all(pool.list().map((server) => ask(server, target, signal)));
    return answers.flat();
  };
}

/** Undefined when it is too long; cut off when the signal aborts. */
async function readText(answer: IncomingMessage, signal: AbortSignal): Promise<string | undefined> {
  const stop = (): void => {
    answer.destroy(new Error('took too long'));
  };
  signal.addEventListener('abort', stop, { once: true });
  const parts: Buffer[] = [];
  let size = 0;
  try {
    for await (const part of answer) {
      parts.push(part as Buffer); // no encoding is set
      size += (part as Buffer).length;
      if (size > MAX_BYTES) return undefined;
    }
  } finally {
    signal.removeEventListener('abort', stop);
  }
  return Buffer.concat(parts).toString('utf8');
}
