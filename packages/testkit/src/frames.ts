import { isJsonObject, parseJson, type JsonValue } from '@tiercel/contracts';

export interface TextFrame {
  readonly kind: 'text';
  /** The message's `type`; empty when it has none. */
  readonly type: string;
  /** The message's `data`; integers beyond 2^53 are bigints. */
  readonly data: unknown;
  /** As it came. */
  readonly raw: string;
  /** Milliseconds since the socket was opened. */
  readonly atMs: number;
}

export interface PreviewFrame {
  readonly kind: 'preview';
  /** 1: bare; 4: with metadata. */
  readonly event: 1 | 4;
  readonly mediaType: string;
  /** What event 4 tells of the picture; undefined for event 1. */
  readonly metadata: JsonValue | undefined;
  readonly image: Buffer;
  readonly raw: Buffer;
  readonly atMs: number;
}

interface ProgressTextFrame {
  readonly kind: 'progress_text';
  readonly nodeId: string;
  readonly text: string;
  readonly raw: Buffer;
  readonly atMs: number;
}

interface UnknownFrame {
  readonly kind: 'unknown';
  readonly raw: Buffer;
  readonly atMs: number;
}

export type Frame = TextFrame | PreviewFrame | ProgressTextFrame | UnknownFrame;

/** Reads one WebSocket message as a ComfyUI client would (wire 2 to 4). */
export function decodeFrame(message: Buffer, isBinary: boolean, atMs: number): Frame {
  return isBinary ? decodeBinary(message, atMs) : decodeText(message.toString('utf8'), atMs);
}

function decodeText(raw: string, atMs: number): TextFrame {
  const message: unknown = parseJson(raw);
  const fields = typeof message === 'object' && message !== null ? message : {};
  const type = 'type' in fields && typeof fields.type === 'string' ? fields.type : '';
  return { kind: 'text', type, data: 'data' in fields ? fields.data : undefined, raw, atMs };
}

function decodeBinary(raw: Buffer, atMs: number): Frame {
  if (raw.length < 8) return { kind: 'unknown', raw, atMs };
  const event = raw.readUInt32BE(0);
  const second = raw.readUInt32BE(4);
  const rest = raw.subarray(8);
  if (event === 1) {
    const mediaType = second === 1 ? 'image/jpeg' : 'image/png';
    return { kind: 'preview', event, mediaType, metadata: undefined, image: rest, raw, atMs };
  }
  if (event === 3) {
    const nodeId = rest.subarray(0, second).toString('utf8');
    const text = rest.subarray(second).toString('utf8');
    return { kind: 'progress_text', nodeId, text, raw, atMs };
  }
  if (event === 4) {
    const metadata = parseJson(rest.subarray(0, second).toString('utf8'));
    const named = isJsonObject(metadata) ? metadata.image_type : undefined;
    const mediaType = typeof named === 'string' ? named : '';
    return { kind: 'preview', event, mediaType, metadata, image: rest.subarray(second), raw, atMs };
  }
  return { kind: 'unknown', raw, atMs };
}
