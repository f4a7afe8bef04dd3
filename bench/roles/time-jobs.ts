import { once } from 'node:events';
import { WebSocket } from 'ws';
import { formatRequest, HttpConnection } from '../http-connection.ts';
import { promptBody } from '../prompts.ts';
import { median, quantile } from '../statistics.ts';

export interface TimeJobsCommand {
  readonly url: string;
  readonly samples: number;
  readonly firstColor: number;
}

export interface JobTimes {
  readonly medianMs: number;
  readonly p99Ms: number;
}

const TIMEOUT_MS = 20_000;

/** Runs jobs one after the other, each timed from its POST until its socket says that it is over. */
export async function timeJobs({ url, samples, firstColor }: TimeJobsCommand): Promise<JobTimes> {
  const clientId = `bench-${process.pid}-${firstColor}`;
  const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/ws?clientId=${clientId}`);
  let onEnd: () => void = () => undefined;
  const heard: string[] = [];
  socket.on('message', (data: Buffer, isBinary) => {
    heard.push(data.toString('utf8', 0, 60));
    if (!isBinary && data.includes('"executing"') && data.includes('"node":null')) onEnd();
  });
  await once(socket, 'open');
  const connection = await HttpConnection.open(url);
  const timesMs: number[] = [];
  try {
    for (let index = 0; index < samples; index += 1) {
      const body = promptBody('PreviewImage', firstColor + index, clientId);
      heard.length = 0;
      const ended = new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => {
          const frames = heard.join('\n');
          reject(new Error(`job ${index} did not end, or nobody said so; heard:\n${frames}`));
        }, TIMEOUT_MS);
        onEnd = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      const postedAt = performance.now();
      const status = await connection.send(formatRequest('/prompt', body));
      if (status !== 200) throw new Error(`POST /prompt answered ${status}`);
      await ended;
      timesMs.push(performance.now() - postedAt);
    }
  } finally {
    connection.close();
    socket.terminate();
  }
  return { medianMs: median(timesMs), p99Ms: quantile(timesMs, 0.99) };
}
