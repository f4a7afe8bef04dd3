import { randomUUID } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { IncomingMessage } from 'node:http';
import { isJsonObject, parseJson, type JsonValue } from '@tiercel/contracts';
import { WebSocket, WebSocketServer } from 'ws';
import { encodeMessage } from './frames-out.ts';

/** What the server answers to the first `feature_flags` of a socket, and GET /features. */
export const FEATURES = { supports_preview_metadata: true, max_upload_size: 104857600 };

const GARBAGE_TEXTS = ['this is not JSON', '{"type":', '[1,2,3]', '{"data":{}}', 'null', ''];
const GARBAGE_BINARIES = [
  Buffer.alloc(0),
  Buffer.from([0, 0]),
  Buffer.from([0, 0, 0, 99, 1, 2, 3, 4, 5]), // an event id that nobody knows
  Buffer.from([0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff, 123]), // metadata longer than the frame
  Buffer.from([0, 0, 0, 3, 0xff, 0xff, 0xff, 0xff, 65]),
];

/** The WebSocket side of ComfyUI 0.3.64: who is connected, and who is sent what (wire 2). */
export class FakeSockets {
  readonly #server = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    autoPong: false,
  });
  readonly #bySid = new Map<string, WebSocket>();
  readonly #withMetadata = new Set<string>();
  readonly #silent = new Set<WebSocket>();
  readonly #isCompact: boolean;
  /** Every frame is sent twice. */
  duplicates = false;

  constructor({ compactJson }: { readonly compactJson: boolean }) {
    this.#isCompact = compactJson;
  }

  /** Opens a socket. `hooks.currentNode`: what runs for that client now. */
  accept(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    hooks: { remaining: () => number; currentNode: (sid: string) => string | undefined },
  ): void {
    this.#server.handleUpgrade(request, socket, head, (client) => {
      const asked = new URL(request.url ?? '/', 'http://x').searchParams.get('clientId') ?? '';
      const sid = asked === '' ? randomUUID().replaceAll('-', '') : asked;
      this.#bySid.set(sid, client);
      this.#withMetadata.delete(sid);
      this.#listen(sid, client);
      this.send('status', { ...describeStatus(hooks.remaining()), sid }, sid);
      const node = hooks.currentNode(sid);
      // As ComfyUI 0.3.64, wire 2.6: without a prompt_id.
      if (node !== undefined) this.send('executing', { node }, sid);
    });
  }

  #listen(sid: string, client: WebSocket): void {
    let isFirst = true;
    client.on('error', () => undefined); // `close` follows
    client.on('ping', (data: Buffer) => {
      if (!this.#silent.has(client)) client.pong(data);
    });
    client.on('message', (message: Buffer, isBinary) => {
      const frame = isBinary ? undefined : tryParse(message.toString());
      if (frame === undefined) return;
      if (isFirst && isJsonObject(frame) && frame.type === 'feature_flags') {
        const flags = isJsonObject(frame.data) ? frame.data : {};
        if (flags.supports_preview_metadata === true) this.#withMetadata.add(sid);
        this.send('feature_flags', FEATURES, sid);
      }
      isFirst = false;
    });
    client.on('close', () => {
      this.#silent.delete(client);
      // As ComfyUI does, though it is a fault there: the end of a replaced socket also unregisters the
      // one that took its place (wire 2.5).
      this.#bySid.delete(sid);
      this.#withMetadata.delete(sid);
    });
  }

  /** @param sid undefined: to everyone */
  send(type: string, data: unknown, sid?: string): void {
    this.sendFrame(encodeMessage(type, data, this.#isCompact), sid);
  }

  sendFrame(frame: string | Buffer, sid?: string): void {
    const receivers = sid === undefined ? [...this.#bySid.values()] : [this.#bySid.get(sid)];
    for (const socket of receivers) {
      if (socket?.readyState !== WebSocket.OPEN || this.#silent.has(socket)) continue;
      socket.send(frame);
      if (this.duplicates) socket.send(frame);
    }
  }

  broadcastStatus(remaining: number): void {
    this.send('status', describeStatus(remaining));
  }

  wantsMetadata(sid: string | undefined): boolean {
    return sid !== undefined && this.#withMetadata.has(sid);
  }

  get sids(): string[] {
    return [...this.#bySid.keys()];
  }

  /** The present sockets stay open and say and hear nothing more: half-open connections. */
  silence(): void {
    for (const socket of this.#server.clients) {
      this.#silent.add(socket);
      socket.pause();
    }
  }

  /** Ends every socket: with a close code, or (without) by cutting the connection. */
  closeAll(code?: number): void {
    for (const socket of this.#server.clients) {
      if (code === undefined) socket.terminate();
      else socket.close(code);
    }
  }

  /** Frames that no client can read. */
  sendGarbage(kind: 'text' | 'binary'): void {
    const frames = kind === 'text' ? GARBAGE_TEXTS : GARBAGE_BINARIES;
    for (const frame of frames) this.sendFrame(frame);
  }

  /** Sockets that were silenced are cut; the others stay. */
  restore(): void {
    this.duplicates = false;
    for (const socket of [...this.#silent]) socket.terminate();
  }
}

function describeStatus(remaining: number): { status: JsonValue } {
  return { status: { exec_info: { queue_remaining: remaining } } };
}

function tryParse(text: string): JsonValue | undefined {
  try {
    return parseJson(text);
  } catch {
    return undefined; // ComfyUI logs it and goes on
  }
}
