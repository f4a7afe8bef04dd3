import { stringifyJson, toPythonJson } from '@tiercel/contracts';

/** A JSON message. @param isCompact without the spaces that Python writes, on which no client may depend */
export function encodeMessage(type: string, data: unknown, isCompact: boolean): string {
  const text = stringifyJson({ type, data });
  return isCompact ? text : toPythonJson(text);
}

const JPEG_TYPE = 1;
const PNG_TYPE = 2;

/** Samplers show JPEGs, SaveImageWebsocket sends PNGs. */
function isPng(picture: Buffer): boolean {
  return picture.readUInt8(0) === 0x89;
}

/** Binary event 1: a picture without metadata. */
export function encodePreview(picture: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(1, 0);
  head.writeUInt32BE(isPng(picture) ? PNG_TYPE : JPEG_TYPE, 4);
  return Buffer.concat([head, picture]);
}

/** Binary event 4: a picture that says whose it is. */
export function encodePreviewWithMetadata(
  picture: Buffer,
  node: { readonly nodeId: string; readonly promptId: string },
): Buffer {
  const metadata = {
    node_id: node.nodeId,
    prompt_id: node.promptId,
    display_node_id: node.nodeId,
    parent_node_id: null,
    real_node_id: node.nodeId,
    image_type: isPng(picture) ? 'image/png' : 'image/jpeg',
  };
  return encodeSized(4, toPythonJson(JSON.stringify(metadata)), picture);
}

/** Binary event 3: text shown under a node. */
export function encodeProgressText(nodeId: string, text: string): Buffer {
  return encodeSized(3, nodeId, Buffer.from(text));
}

function encodeSized(event: number, head: string, rest: Buffer): Buffer {
  const bytes = Buffer.from(head);
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(event, 0);
  frame.writeUInt32BE(bytes.length, 4);
  return Buffer.concat([frame, bytes, rest]);
}
