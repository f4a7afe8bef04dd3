import { connect, type Socket } from 'node:net';

/**
 * One keep-alive HTTP/1.1 connection, one request at a time. Much cheaper than node:http's client: on a
 * machine with two cores the load generator must not be what is measured.
 */
export class HttpConnection {
  readonly #socket: Socket;
  #head: { readonly status: number } | undefined;
  #unread: Buffer = Buffer.alloc(0);
  /** Bytes of the body still to come; undefined for a chunked one. */
  #remaining: number | undefined;
  #waiting: { resolve: (status: number) => void; reject: (error: Error) => void } | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      this.#read(chunk);
    });
    socket.on('error', (error) => {
      this.#waiting?.reject(error);
    });
    socket.on('close', () => {
      this.#waiting?.reject(new Error('the server closed the connection'));
    });
  }

  static open(url: string): Promise<HttpConnection> {
    const { hostname, port } = new URL(url);
    return new Promise((resolve, reject) => {
      const socket = connect(Number(port), hostname);
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new HttpConnection(socket));
      });
    });
  }

  /** Sends a request (see formatRequest) and reads the whole answer. Resolves with its status. */
  send(request: string): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#waiting = undefined;
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    let body = chunk;
    if (this.#head === undefined) {
      this.#unread = this.#unread.length === 0 ? chunk : Buffer.concat([this.#unread, chunk]);
      const end = this.#unread.indexOf('\r\n\r\n');
      if (end < 0) return;
      const head = this.#unread.toString('latin1', 0, end);
      const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
      this.#head = { status: Number(head.slice(9, 12)) };
      this.#remaining = length === undefined ? undefined : Number(length);
      body = this.#unread.subarray(end + 4);
      this.#unread = Buffer.alloc(0);
    }
    if (this.#remaining !== undefined) {
      this.#remaining -= body.length;
      if (this.#remaining <= 0) this.#finish(this.#head.status);
      return;
    }
    // Chunked: the bodies here are JSON, which cannot hold the last chunk's mark.
    this.#unread = Buffer.concat([this.#unread, body]).subarray(-5);
    if (this.#unread.toString('latin1') === '0\r\n\r\n') this.#finish(this.#head.status);
  }

  #finish(status: number): void {
    const waiting = this.#waiting;
    this.#head = undefined;
    this.#unread = Buffer.alloc(0);
    this.#waiting = undefined;
    waiting?.resolve(status);
  }
}

/** The text of a request; with a body it is a POST of JSON. */
export function formatRequest(path: string, body?: string, apiKey?: string): string {
  if (body === undefined) return `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
  const length = Buffer.byteLength(body);
  const auth = apiKey === undefined ? '' : `X-API-Key: ${apiKey}\r\n`;
  return `POST ${path} HTTP/1.1\r\nHost: localhost\r\n${auth}Content-Type: application/json\r\nContent-Length: ${length}\r\n\r\n${body}`;
}
