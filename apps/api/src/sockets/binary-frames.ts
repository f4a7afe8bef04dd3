import type { Preview } from '@tiercel/contracts';

/** Binary frames of ComfyUI: big-endian 32-bit numbers, then the payload (WIRE.md 1.3). */
const PREVIEW_IMAGE = 1;
const PREVIEW_IMAGE_WITH_METADATA = 4;
const IMAGE_TYPES = { 'image/jpeg': 1, 'image/png': 2 } as const;

/** For clients that announced nothing: event 1, image type, picture. */
export function encodePlainPreview(preview: Preview): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(PREVIEW_IMAGE, 0);
  head.writeUInt32BE(IMAGE_TYPES[preview.mediaType], 4);
  return Buffer.concat([head, preview.bytes]);
}

/** For clients with supports_preview_metadata: event 4, metadata length, metadata, picture. */
export function encodePreviewWithMetadata(preview: Preview): Buffer {
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
