import type { Preview, ResultPicture } from '@tiercel/contracts';

/** Binary frames of ComfyUI: big-endian 32-bit numbers, then the payload (wire 4). */
const PREVIEW_IMAGE = 1;
const TEXT = 3;
const PREVIEW_IMAGE_WITH_METADATA = 4;
const PNG = 2;
const JPEG = 1;

/** What a socket is sent for a preview: text for all alike, pictures as its client announced. */
export function encodePreview(preview: Preview, wantsMetadata: boolean): Buffer {
  if (preview.mediaType === 'text/plain') return encodeText(preview);
  return wantsMetadata ? encodePreviewWithMetadata(preview) : encodePlainPreview(preview);
}

/** A picture that is a result: on the wire the same as a preview, as in ComfyUI. */
export function encodePicture(
  { prompt_id: promptId, node, image_type: mediaType }: ResultPicture,
  bytes: Uint8Array,
  wantsMetadata: boolean,
): Buffer {
  return encodePreview({ promptId, node, mediaType, bytes, forAll: true }, wantsMetadata);
}

/** Event 3: length of the node id, node id, text. */
function encodeText(preview: Preview): Buffer {
  const nodeId = Buffer.from(preview.node.node_id, 'utf8');
  const head = Buffer.alloc(8);
  head.writeUInt32BE(TEXT, 0);
  head.writeUInt32BE(nodeId.length, 4);
  return Buffer.concat([head, nodeId, preview.bytes]);
}

/** For clients that announced nothing: event 1, image type, picture. */
function encodePlainPreview(preview: Preview): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(PREVIEW_IMAGE, 0);
  head.writeUInt32BE(preview.mediaType === 'image/png' ? PNG : JPEG, 4);
  return Buffer.concat([head, preview.bytes]);
}

/** For clients with supports_preview_metadata: event 4, metadata length, metadata, picture. */
function encodePreviewWithMetadata(preview: Preview): Buffer {
  const { node_id, display_node_id, parent_node_id, real_node_id } = preview.node;
  const metadata = Buffer.from(
    JSON.stringify({
      node_id,
      prompt_id: preview.promptId,
      display_node_id,
      parent_node_id,
      real_node_id,
      image_type: preview.mediaType,
    }),
    'utf8',
  );
  const head = Buffer.alloc(8);
  head.writeUInt32BE(PREVIEW_IMAGE_WITH_METADATA, 0);
  head.writeUInt32BE(metadata.length, 4);
  return Buffer.concat([head, metadata, preview.bytes]);
}
