export type ImageFormat = 'png' | 'jpeg' | 'webp';

/** What a file says it is by its first bytes; undefined: no picture that services answer with. */
export function sniffImage(bytes: Uint8Array): ImageFormat | undefined {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, 12));
  const latin = head.toString('latin1');
  if (latin.startsWith('\x89PNG\r\n\x1a\n')) return 'png';
  if (latin.startsWith('\xff\xd8\xff')) return 'jpeg';
  if (latin.startsWith('RIFF') && latin.slice(8) === 'WEBP') return 'webp';
  return undefined;
}
