import { setTimeout as sleep } from 'node:timers/promises';
import { formatRequest, HttpConnection } from '../http-connection.ts';
import { describeJob, type JobKind } from '../prompts.ts';
import { median, quantile } from '../statistics.ts';
import { isJobEnd, openJobSocket } from './job-socket.ts';

export interface TimeJobsCommand {
  /** Of a Tiercel or of ComfyUI servers; the clients are dealt to them in turn. */
  readonly urls: readonly string[];
  /** Each with a client id and a socket of its own, one job at a time; default 1. */
  readonly clients?: number;
  /** How much later each client starts than the one before; default 0. */
  readonly staggerMs?: number;
  /** Jobs of all clients together. */
  readonly samples: number;
  readonly job: JobKind;
  /** Each job gets the next colour: see takeColors. */
  readonly firstColor: number;
}

export interface JobTimes {
  /** Of each job, from its POST until its socket says that it is over. */
  readonly timesMs: readonly number[];
  readonly medianMs: number;
  readonly p99Ms: number;
  /** From the first POST to the last end. */
  readonly perSecond: number;
}

const TIMEOUT_MS = 20_000;

/** Runs jobs, of each client one after the other, and times them. */
export async function timeJobs(command: TimeJobsCommand): Promise<JobTimes> {
  const { urls, samples, staggerMs = 0, firstColor } = command;
  const clients = await Promise.all(
    Array.from({ length: command.clients ?? 1 }, (_, index) => {
      const url = urls[index % urls.length] ?? '';
      return openClient(url, `bench-${process.pid}-${firstColor}-${index}`);
    }),
  );
  const timesMs: number[] = [];
  let taken = 0;
  const loop = async (client: JobClient, index: number): Promise<void> => {
    await sleep(index * staggerMs);
    while (taken < samples) {
      const color = firstColor + taken;
      taken += 1;
      timesMs.push(await client.run(command.job, color));
    }
  };
  const startedAt = performance.now();
  try {
    await Promise.all(clients.map(loop));
  } finally {
    for (const client of clients) client.close();
  }
  const seconds = (performance.now() - startedAt) / 1_000;
  return {
    ...{ timesMs, medianMs: median(timesMs), p99Ms: quantile(timesMs, 0.99) },
    perSecond: timesMs.length / seconds,
  };
}

interface JobClient {
  /** Milliseconds from the POST to the end. */
  run(job: JobKind, color: number): Promise<number>;
  close(): void;
}

async function openClient(url: string, clientId: string): Promise<JobClient> {
  let onEnd: () => void = () => undefined;
  const received: string[] = [];
  const socket = await openJobSocket(url, clientId, (data, isBinary) => {
    received.push((data as Buffer).toString('utf8', 0, 60)); // ws gives one Buffer unless told otherwise
    if (isJobEnd(data, isBinary)) onEnd();
  });
  const connection = await HttpConnection.open(url);
  return {
    run: async (job, color) => {
      received.length = 0;
      const ended = new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => {
          const frames = received.join('\n');
          reject(new Error(`a job did not end, or nobody said so; heard:\n${frames}`));
        }, TIMEOUT_MS);
        onEnd = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      const postedAt = performance.now();
      const request = formatRequest('/prompt', describeJob(job, color, clientId));
      const status = await connection.send(request);
      if (status !== 200) throw new Error(`POST /prompt answered ${status}`);
      await ended;
      return performance.now() - postedAt;
    },
    close: () => {
      connection.close();
      socket.terminate();
    },
  };
}
