import type { Preview } from '@tiercel/contracts';

/**
 * A preview on a channel: a zero byte (event messages start with a letter), the length of a JSON head
 * as a big-endian 32-bit number, the head, the picture.
 */
const HEAD_OFFSET = 5;

export function encodePreview(preview: Preview): Buffer {
  const { bytes, ...rest } = preview;
  const head = Buffer.from(JSON.stringify(rest), 'utf8');
  const prefix = Buffer.alloc(HEAD_OFFSET);
  prefix.writeUInt32BE(head.length, 1);
  return Buffer.concat([prefix, head, bytes]);
}

export function isPreviewMessage(message: Buffer): boolean {
  return message[0] === 0;
}

export function decodePreview(message: Buffer): Preview {
  const end = HEAD_OFFSET + message.readUInt32BE(1);
  const head = JSON.parse(message.toString('utf8', HEAD_OFFSET, end)) as Omit<Preview, 'bytes'>;
  return { ...head, bytes: message.subarray(end) };
}
