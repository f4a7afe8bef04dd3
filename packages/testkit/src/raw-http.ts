import { request, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http';
import { parseJson, stringifyJson, type JsonValue } from '@tiercel/contracts';

export interface RawResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
  readonly text: string;
  /** The body as JSON; integers beyond 2^53 are bigints. */
  json(): JsonValue;
}

/** A string or bytes are sent as they are, without a content type; anything else as JSON with one. */
type RawBody = string | Uint8Array | object;

interface RawOptions {
  readonly headers?: OutgoingHttpHeaders;
  readonly timeoutMs?: number;
}

export interface RawHttp {
  get(path: string, options?: RawOptions): Promise<RawResponse>;
  post(path: string, body?: RawBody, options?: RawOptions): Promise<RawResponse>;
  request(method: string, path: string, body?: RawBody, options?: RawOptions): Promise<RawResponse>;
}

const TIMEOUT_MS = 20_000;

/**
 * Requests to one server, each on a connection of its own. The path goes out as written: `/../x` and
 * `//` are not tidied up, as fetch would.
 * @param headers sent with every request, e.g. the key of a caller; those of a request win over them
 */
export function http(baseUrl: string, headers: OutgoingHttpHeaders = {}): RawHttp {
  const { hostname, port } = new URL(baseUrl);
  const send: RawHttp['request'] = (method, path, body, options = {}) =>
    new Promise((resolve, reject) => {
      const { payload, contentType } = encode(body);
      const outgoing = request({
        ...{ hostname: hostname.replace(/^\[|\]$/g, ''), port, method, path, agent: false },
        headers: {
          ...contentType,
          ...(payload === undefined ? {} : { 'content-length': payload.byteLength }),
          ...headers,
          ...options.headers,
        },
        timeout: options.timeoutMs ?? TIMEOUT_MS,
      });
      outgoing.on('timeout', () => outgoing.destroy(new Error(`${method} ${path} timed out`)));
      outgoing.on('error', reject);
      outgoing.on('response', (incoming) => {
        const parts: Buffer[] = [];
        incoming.on('data', (part: Buffer) => parts.push(part));
        incoming.on('error', reject);
        incoming.on('end', () => {
          const bytes = Buffer.concat(parts);
          const text = bytes.toString('utf8');
          resolve({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            bytes,
            text,
            json: () => parseJson(text),
          });
        });
      });
      outgoing.end(payload);
    });
  return {
    request: send,
    get: (path, options) => send('GET', path, undefined, options),
    post: (path, body, options) => send('POST', path, body, options),
  };
}

function encode(body: RawBody | undefined): {
  payload: Buffer | undefined;
  contentType: OutgoingHttpHeaders;
} {
  if (body === undefined) return { payload: undefined, contentType: {} };
  if (typeof body === 'string') return { payload: Buffer.from(body), contentType: {} };
  if (body instanceof Uint8Array) return { payload: Buffer.from(body), contentType: {} };
  const contentType = { 'content-type': 'application/json' };
  return { payload: Buffer.from(stringifyJson(body)), contentType };
}
