import {
  isJsonObject,
  type JsonObject,
  type JsonValue,
  type NodeIdentity,
  plainNode,
} from '@tiercel/contracts';
import { readPythonJson } from './comfy-wire.ts';

/** A text frame. */
export interface ComfyMessage {
  readonly type: string;
  readonly data: JsonValue;
  /** The whole frame as it came; valid JSON, every digit kept. */
  readonly raw: string;
}

/** A preview picture. */
export interface ComfyPreview {
  /** Event 1 names no node: it is then the one that runs for us, undefined when none is known to. */
  readonly node: NodeIdentity | undefined;
  /** Only event 4 names it. */
  readonly promptId: string | undefined;
  readonly mediaType: 'image/jpeg' | 'image/png';
  /** A view into the frame; custom nodes put more than a picture into event 1. */
  readonly bytes: Uint8Array;
}

/** A frame of ComfyUI's socket, read; `unknown` is of a later version, or of an extension. */
export type ComfyFrame =
  | { readonly kind: 'message'; readonly message: ComfyMessage }
  | { readonly kind: 'preview'; readonly preview: ComfyPreview }
  | { readonly kind: 'text'; readonly nodeId: string; readonly text: string }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'garbage' };

/** Reads the frames of one connection; remembers which node runs, as some previews name none. */
export class FrameReader {
  #running: NodeIdentity | undefined;

  /** Never throws. */
  read(frame: Buffer, isBinary: boolean): ComfyFrame {
    return isBinary ? this.#readBinary(frame) : this.#readText(frame.toString('utf8'));
  }

  #readText(raw: string): ComfyFrame {
    const message = readMessage(raw);
    if (message === undefined) return { kind: 'garbage' };
    const { type, data } = message;
    if (type === 'executing' && isJsonObject(data)) this.#running = readRunning(data);
    return { kind: 'message', message };
  }

  #readBinary(frame: Buffer): ComfyFrame {
    const decoded = decodeBinaryFrame(frame);
    if (decoded.kind === 'preview') {
      const { mediaType, bytes } = decoded;
      const preview = { node: this.#running, promptId: undefined, mediaType, bytes };
      return { kind: 'preview', preview };
    }
    if (decoded.kind === 'preview-of-node') {
      const { node, promptId, mediaType, bytes } = decoded;
      return { kind: 'preview', preview: { node, promptId, mediaType, bytes } };
    }
    return decoded;
  }
}

/** Reads a text frame; undefined when it is none of ComfyUI's. */
function readMessage(raw: string): ComfyMessage | undefined {
  try {
    const { value, text } = readPythonJson(raw);
    if (!isJsonObject(value) || typeof value.type !== 'string') return undefined;
    return { type: value.type, data: value.data ?? null, raw: text };
  } catch {
    return undefined; // the caller counts it
  }
}

/** `executing` names the node that runs, or null at the end. */
function readRunning({ node, display_node: display }: JsonObject): NodeIdentity | undefined {
  if (typeof node !== 'string') return undefined;
  const identity = plainNode(node);
  return typeof display === 'string' ? { ...identity, display_node_id: display } : identity;
}

type PictureType = 'image/jpeg' | 'image/png';

/** A binary frame of ComfyUI's socket (wire 4); `unknown` is of an event nobody told us of. */
type BinaryFrame =
  | { readonly kind: 'preview'; readonly mediaType: PictureType; readonly bytes: Uint8Array }
  | {
      readonly kind: 'preview-of-node';
      readonly node: NodeIdentity;
      readonly promptId: string | undefined;
      readonly mediaType: PictureType;
      readonly bytes: Uint8Array;
    }
  | { readonly kind: 'text'; readonly nodeId: string; readonly text: string }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'garbage' };

const PREVIEW = 1;
const TEXT = 3;
const PREVIEW_WITH_METADATA = 4;
const GARBAGE: BinaryFrame = { kind: 'garbage' };

/** Takes a binary frame apart; never throws. The bytes are a view into the frame. */
export function decodeBinaryFrame(frame: Buffer): BinaryFrame {
  if (frame.byteLength < 8) return GARBAGE;
  switch (frame.readUInt32BE(0)) {
    case PREVIEW:
      return decodePreview(frame);
    case TEXT:
      return decodeText(frame);
    case PREVIEW_WITH_METADATA:
      return decodePreviewOfNode(frame);
    default:
      return { kind: 'unknown' };
  }
}

function decodePreview(frame: Buffer): BinaryFrame {
  const type = frame.readUInt32BE(4);
  const bytes = frame.subarray(8);
  if ((type !== 1 && type !== 2) || bytes.byteLength === 0) return GARBAGE;
  return { kind: 'preview', mediaType: type === 1 ? 'image/jpeg' : 'image/png', bytes };
}

function decodeText(frame: Buffer): BinaryFrame {
  const end = 8 + frame.readUInt32BE(4);
  if (end > frame.byteLength) return GARBAGE;
  return {
    kind: 'text',
    nodeId: frame.toString('utf8', 8, end),
    text: frame.toString('utf8', end),
  };
}

function decodePreviewOfNode(frame: Buffer): BinaryFrame {
  const end = 8 + frame.readUInt32BE(4);
  if (end >= frame.byteLength) return GARBAGE; // no picture behind it
  const metadata = tryRead(frame.toString('utf8', 8, end));
  if (!isJsonObject(metadata)) return GARBAGE;
  const { node_id: nodeId, image_type: mediaType, prompt_id: promptId } = metadata;
  if (typeof nodeId !== 'string') return GARBAGE;
  if (mediaType !== 'image/jpeg' && mediaType !== 'image/png') return GARBAGE;
  return {
    kind: 'preview-of-node',
    node: readIdentity(nodeId, metadata),
    promptId: typeof promptId === 'string' ? promptId : undefined,
    mediaType,
    bytes: frame.subarray(end),
  };
}

function readIdentity(nodeId: string, metadata: JsonObject): NodeIdentity {
  const { display_node_id: display, parent_node_id: parent, real_node_id: real } = metadata;
  return {
    node_id: nodeId,
    display_node_id: typeof display === 'string' ? display : nodeId,
    parent_node_id: typeof parent === 'string' ? parent : null,
    real_node_id: typeof real === 'string' ? real : nodeId,
  };
}

function tryRead(text: string): JsonValue | undefined {
  try {
    return readPythonJson(text).value;
  } catch {
    return undefined; // the caller calls it garbage
  }
}
