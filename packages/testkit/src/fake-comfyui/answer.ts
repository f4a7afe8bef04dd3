import type { ServerResponse } from 'node:http';
import { stringifyJson } from '@tiercel/contracts';

export const JSON_TYPE = 'application/json; charset=utf-8';

/** An HTTP answer before it is sent; faults may still change it. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export function empty(status = 200): Answer {
  return { status, headers: {}, body: Buffer.alloc(0) };
}

export function text(status: number, body: string, type = 'text/plain; charset=utf-8'): Answer {
  return { status, headers: { 'content-type': type }, body: Buffer.from(body) };
}

export function json(value: unknown, status = 200): Answer {
  return text(status, stringifyJson(value), JSON_TYPE);
}

/** What aiohttp answers to an exception that nobody caught. */
export function serverError(): Answer {
  return text(500, '500 Internal Server Error\n\nServer got itself in trouble');
}

export function notFound(): Answer {
  return { ...empty(404), headers: { 'content-type': 'application/octet-stream' } };
}

export function send(response: ServerResponse, answer: Answer, isHead = false): void {
  response.writeHead(answer.status, {
    ...answer.headers,
    'content-length': answer.body.byteLength,
  });
  response.end(isHead ? undefined : answer.body);
}

/** Promises the whole body, sends half of it and cuts the connection. */
export function sendTruncated(response: ServerResponse, answer: Answer): void {
  const { body } = answer;
  response.writeHead(answer.status, { ...answer.headers, 'content-length': body.byteLength + 1 });
  response.write(body.subarray(0, body.byteLength >> 1), () => response.destroy());
}
