/** Where picture formats have their EXIF data. */

const EXIF_HEAD = Buffer.from('Exif\0\0', 'latin1');

/** The chunk `EXIF` of a WebP; some programs write the head of a JPEG's before it. */
export function readWebpExif(webp: Buffer): Buffer | undefined {
  for (let at = 12; at + 8 <= webp.length;) {
    const length = webp.readUInt32LE(at + 4);
    if (webp.toString('latin1', at, at + 4) === 'EXIF') {
      return withoutHead(webp.subarray(at + 8, at + 8 + length));
    }
    at += 8 + length + (length % 2);
  }
  return undefined;
}

/** The segment APP1 of a JPEG that is EXIF. */
export function readJpegExif(jpeg: Buffer): Buffer | undefined {
  for (let at = 2; at + 4 <= jpeg.length && jpeg[at] === 0xff;) {
    const marker = jpeg[at + 1];
    // The picture itself begins, or ends.
    if (marker === 0xda || marker === 0xd9) return undefined;
    const length = jpeg.readUInt16BE(at + 2);
    const data = jpeg.subarray(at + 4, at + 2 + length);
    if (marker === 0xe1 && data.subarray(0, EXIF_HEAD.length).equals(EXIF_HEAD)) {
      return withoutHead(data);
    }
    at += 2 + Math.max(length, 2);
  }
  return undefined;
}

function withoutHead(data: Buffer): Buffer {
  const hasHead = data.subarray(0, EXIF_HEAD.length).equals(EXIF_HEAD);
  return hasHead ? data.subarray(EXIF_HEAD.length) : data;
}
