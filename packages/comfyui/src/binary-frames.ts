import {
  isJsonObject,
  type JsonObject,
  type JsonValue,
  type NodeIdentity,
} from '@tiercel/contracts';
import { readPythonJson } from './python-json.ts';

type PictureType = 'image/jpeg' | 'image/png';

/** A binary frame of ComfyUI's socket (wire 4); `unknown` is of an event nobody told us of. */
export type BinaryFrame =
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
