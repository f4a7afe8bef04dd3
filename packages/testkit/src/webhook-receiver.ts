import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { serveHttp } from './serve-http.ts';

export interface ReceivedWebhook {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly body: {
    readonly type: string;
    readonly timestamp: string;
    readonly event?: string;
    readonly data: Readonly<Record<string, unknown>> & { readonly prompt_id: string };
  };
  readonly atMs: number;
}

/** Undefined: the answer is left to the test. */
type Behaviour = (received: ReceivedWebhook, res: ServerResponse) => number | undefined;

/** A receiver of webhooks on 127.0.0.1 that keeps what it is sent and answers as the test says. */
export async function startWebhookReceiver(answer: Behaviour = () => 204): Promise<{
  readonly url: string;
  readonly received: readonly ReceivedWebhook[];
  /** From now on it answers so. */
  behave(answer: Behaviour): void;
  of(promptId: string): ReceivedWebhook[];
  typesOf(promptId: string): string[];
}> {
  const received: ReceivedWebhook[] = [];
  let behaviour = answer;
  const server = await serveHttp((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const text = Buffer.concat(chunks).toString('utf8');
      const one: ReceivedWebhook = {
        path: req.url ?? '',
        headers: req.headers,
        text,
        body: JSON.parse(text) as ReceivedWebhook['body'],
        atMs: Date.now(),
      };
      received.push(one);
      const status = behaviour(one, res);
      if (status !== undefined) res.writeHead(status).end();
    });
  });
  const of = (promptId: string) => received.filter(({ body }) => body.data.prompt_id === promptId);
  return {
    url: server.url,
    received,
    behave: (next) => {
      behaviour = next;
    },
    of,
    typesOf: (promptId) => of(promptId).map(({ body }) => body.type),
  };
}

/** In the order of their first arrival, each once: what a receiver that knows its ids has seen. */
export function distinctWebhooks(received: readonly ReceivedWebhook[]): ReceivedWebhook[] {
  const seen = new Set<unknown>();
  return received.filter(({ headers }) => {
    const id = headers['webhook-id'];
    return seen.has(id) ? false : seen.add(id);
  });
}
