/** JSON text, or its bytes when it comes from another thread. */
export type LongText = string | Uint8Array<ArrayBuffer>;

/** Bytes that another thread has given away are not copied into a string to be made bytes again. */
export function toPayload(text: LongText): string | Buffer {
  return typeof text === 'string'
    ? text
    : Buffer.from(text.buffer, text.byteOffset, text.byteLength);
}
