import type { PictureHeader } from './read-header.ts';

/**
 * Bytes a pixel that a decoder of libvips takes besides what it gives out. Measured with sharp 0.35.5 as the growth
 * of a process' resident memory, 50 million pixels each.
 */
function nativeBytes({ format, channels, sampleBytes, isProgressive }: PictureHeader): number {
  const stored = channels * sampleBytes;
  switch (format) {
    case 'jpeg':
      return isProgressive ? 7 : 1; // coefficients of the whole picture, without subsampling
    case 'png':
      return isProgressive ? stored + 1 : 1;
    case 'webp':
      return 5;
    case 'gif':
      return 9;
    case 'tiff':
      return stored + 1; // some are one strip
    case 'avif':
      return 16;
    case 'bmp':
      return 1;
  }
}

/** Bytes of memory that opening the picture as a stream of rows takes: what an encoder reads from. */
export function openingBytes(header: PictureHeader): number {
  const { width, height, orientation, channels, sampleBytes } = header;
  const turned = orientation > 1 ? channels * sampleBytes : 0;
  return Math.ceil(width * height * (nativeBytes(header) + turned));
}

/**
 * Bytes of memory that decoding all frames takes at its peak.
 * @param keptBytes what is kept a pixel of each frame, such as 12 for float samples of three colours
 */
export function decodingBytes(header: PictureHeader, keptBytes: number): number {
  const { width, height, format, channels, pages, animation, isCmyk } = header;
  const pixels = width * height;
  // Inks are mixed to colours beside them.
  const raw = pixels * (isCmyk ? 7 : channels === 2 || channels === 4 ? 4 : 3);
  if (animation !== undefined) {
    // The canvas, what a frame has covered, and the frame itself.
    return pixels * 12 + openingBytes(header) + pixels * animation.frames.length * keptBytes;
  }
  if (pages.length > 1) {
    const isColumn = format !== 'tiff';
    const rawBytes = raw * (isColumn ? pages.length : 1);
    return openingBytes(header) + rawBytes + pixels * pages.length * keptBytes;
  }
  // What the decoder itself took is free again when the samples are made.
  return raw + Math.max(openingBytes(header), pixels * keptBytes);
}
