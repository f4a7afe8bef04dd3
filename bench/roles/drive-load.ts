import { formatRequest, HttpConnection } from '../http-connection.ts';
import { promptBody, type PromptBodies } from '../prompts.ts';
import { median, quantile } from '../statistics.ts';

export interface LoadCommand {
  readonly url: string;
  readonly path: string;
  /** Keep-alive connections, each with one request at a time. */
  readonly connections: number;
  /** Prompts to POST; without it the path is fetched with GET. */
  readonly bodies?: PromptBodies;
  /** Of whom the prompts are, in turn; none: of nobody. */
  readonly apiKeys?: readonly string[];
  readonly stopAfter: { readonly seconds: number } | { readonly requests: number };
}

export interface LoadResult {
  readonly requests: number;
  readonly perSecond: number;
  readonly medianMs: number;
  readonly p99Ms: number;
}

/** Sends requests as fast as they are answered. An answer that is not 200 ends the benchmark. */
export async function driveLoad(command: LoadCommand): Promise<LoadResult> {
  const { url, path, stopAfter, bodies } = command;
  const connections = await Promise.all(
    Array.from({ length: command.connections }, () => HttpConnection.open(url)),
  );
  const maxRequests = 'requests' in stopAfter ? stopAfter.requests : Infinity;
  const startedAt = performance.now();
  const endAt = 'seconds' in stopAfter ? startedAt + stopAfter.seconds * 1_000 : Infinity;
  const plainRequest = formatRequest(path);
  const latenciesMs: number[] = [];
  let sent = 0;

  const loop = async (connection: HttpConnection): Promise<void> => {
    while (sent < maxRequests && performance.now() < endAt) {
      const index = sent;
      sent += 1;
      const request = bodies === undefined ? plainRequest : formatPrompt(command, bodies, index);
      const sentAt = performance.now();
      const status = await connection.send(request);
      if (status !== 200) throw new Error(`${path} answered ${status}`);
      latenciesMs.push(performance.now() - sentAt);
    }
  };
  try {
    await Promise.all(connections.map(loop));
    const seconds = (performance.now() - startedAt) / 1_000;
    return {
      requests: latenciesMs.length,
      perSecond: latenciesMs.length / seconds,
      medianMs: median(latenciesMs),
      p99Ms: quantile(latenciesMs, 0.99),
    };
  } finally {
    for (const connection of connections) connection.close();
  }
}

function formatPrompt(
  { path, apiKeys = [] }: LoadCommand,
  bodies: PromptBodies,
  index: number,
): string {
  const color = bodies.firstColor + (bodies.colors === 'distinct' ? index : 0);
  return formatRequest(path, promptBody(bodies.output, color), apiKeys[index % apiKeys.length]);
}
