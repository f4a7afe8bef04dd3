import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { formatRequest, HttpConnection } from '../http-connection.ts';
import { samplingBody } from '../sampling-prompts.ts';

export interface SampleCommand {
  readonly url: string;
  readonly jobs: number;
  /** Each has one job at a time. */
  readonly clients: number;
  readonly firstSeed: number;
  /** Each further job has the next seed, or all have the same. */
  readonly seeds: 'distinct' | 'same';
  /** `extra_data.cache` of the jobs. */
  readonly cache?: boolean;
}

export interface SampledPictures {
  readonly succeeded: number;
  /** From the first POST to the last end. */
  readonly seconds: number;
  /** Of each job, from its POST until its socket says that it is over; failed ones included. */
  readonly timesMs: readonly number[];
}

const TIMEOUT_MS = 60_000;

/** Runs text-to-image jobs. Needs `queue.perClient: parallel`: all jobs are of one client. */
export async function samplePictures(command: SampleCommand): Promise<SampledPictures> {
  const { url, jobs, clients, firstSeed, seeds, cache } = command;
  const clientId = `bench-${randomUUID()}`;
  const ends = await listenForEnds(url, clientId);
  const timesMs: number[] = [];
  let [sent, succeeded] = [0, 0];
  const loop = async (): Promise<void> => {
    const connection = await HttpConnection.open(url);
    try {
      while (sent < jobs) {
        const seed = firstSeed + (seeds === 'distinct' ? sent : 0);
        sent += 1;
        const promptId = randomUUID();
        const body = samplingBody({ promptId, clientId, seed, cache });
        const postedAt = performance.now();
        const ended = ends.of(promptId);
        const status = await connection.send(formatRequest('/prompt', body));
        if (status !== 200) throw new Error(`POST /prompt answered ${status}`);
        if (await ended) succeeded += 1;
        timesMs.push(performance.now() - postedAt);
      }
    } finally {
      connection.close();
    }
  };
  const startedAt = performance.now();
  try {
    await Promise.all(Array.from({ length: clients }, loop));
    return { succeeded, seconds: (performance.now() - startedAt) / 1_000, timesMs };
  } finally {
    ends.close();
  }
}

interface Ends {
  /** Resolves when the job is over: whether it succeeded. Ask before the job is sent. */
  of(promptId: string): Promise<boolean>;
  close(): void;
}

async function listenForEnds(url: string, clientId: string): Promise<Ends> {
  const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/ws?clientId=${clientId}`);
  const waiting = new Map<string, (succeeded: boolean) => void>();
  const successes = new Set<string>();
  socket.on('message', (data: Buffer, isBinary) => {
    // Most frames are progress: they are not parsed.
    if (isBinary || !(data.includes('"execution_success"') || data.includes('"node":null'))) return;
    const frame = JSON.parse(data.toString()) as {
      readonly type: string;
      readonly data: { readonly prompt_id: string; readonly node?: string | null };
    };
    const { prompt_id: id, node } = frame.data;
    if (frame.type === 'execution_success') successes.add(id);
    if (frame.type === 'executing' && node === null) waiting.get(id)?.(successes.delete(id));
  });
  await once(socket, 'open');
  return {
    of: (promptId) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          reject(new Error(`job ${promptId} did not end, or nobody said so`));
        }, TIMEOUT_MS);
        waiting.set(promptId, (succeeded) => {
          clearTimeout(timer);
          waiting.delete(promptId);
          resolve(succeeded);
        });
      }),
    close: () => {
      socket.terminate();
    },
  };
}
