import { deflateSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import sharp from 'sharp';
import { pngChunk } from './png-chunks.ts';
import { encodePng } from './png.ts';
import { rewritePngText, rewritePngTextStream } from './rewrite-png-text.ts';

const WIDTH = 3;
const data = Uint8Array.from({ length: WIDTH * WIDTH * 3 }, (_, i) => i * 9);
const image = { width: WIDTH, height: WIDTH, channels: 3, data } as const;
const plain = Buffer.from(await encodePng(image, { level: 1 }));
/** Signature and IHDR. */
const HEAD_BYTES = 33;
const END_BYTES = 12;

/** A picture with chunks in front of its pixels. */
const withChunks = (...chunks: readonly Uint8Array[]): Buffer =>
  Buffer.concat([plain.subarray(0, HEAD_BYTES), ...chunks, plain.subarray(HEAD_BYTES)]);
const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');
const text = (content: string): Buffer => pngChunk('tEXt', latin1(content));
const toMine = (found: string): string => found.replaceAll('hash', 'mine/é.png');

describe('rewriting a text of a PNG', () => {
  test('changes that text and no other byte', async () => {
    const trailer = latin1('behind the end');
    const before = [text('workflow\0hash'), text('promptly\0hash')];
    const make = (prompt: string) =>
      Buffer.concat([withChunks(...before, text(`prompt\0${prompt}`), text('x\0hash')), trailer]);
    const rewritten = rewritePngText(make('a "hash" é'), 'prompt', toMine);
    expect(Buffer.from(rewritten)).toEqual(make('a "mine/é.png" é'));
    // libpng reads it: the checksums are right, and so are the pixels.
    const { comments } = await sharp(rewritten).metadata();
    expect(comments?.map(({ keyword }) => keyword)).toContain('prompt');
    const pixels = await sharp(rewritten).removeAlpha().raw().toBuffer();
    expect(Uint8Array.from(pixels)).toEqual(data);
  });

  test('may make it shorter or empty, and works in a part of a larger buffer', () => {
    const file = withChunks(text('prompt\0hash'));
    const pool = Buffer.concat([latin1('before'), file, latin1('after')]);
    const part = new Uint8Array(pool.buffer, pool.byteOffset + 6, file.length);
    const rewritten = rewritePngText(part, 'prompt', () => '');
    expect(Buffer.from(rewritten)).toEqual(withChunks(text('prompt\0')));
  });

  test('knows international texts, and the place where ComfyUI puts those of animated pictures', () => {
    const international = (content: string): Buffer =>
      pngChunk('iTXt', Buffer.from(`prompt\0\0\0en\0Eingabe\0${content}`, 'utf8'));
    const animated = (content: string): Buffer =>
      Buffer.concat([
        plain.subarray(0, -END_BYTES),
        pngChunk('comf', latin1(`prompt\0${content}`)),
        plain.subarray(-END_BYTES),
      ]);
    for (const make of [(content: string) => withChunks(international(content)), animated]) {
      expect(Buffer.from(rewritePngText(make('é hash'), 'prompt', toMine))).toEqual(
        make('é mine/é.png'),
      );
    }
    const cat = withChunks(international('猫 hash'));
    expect(Buffer.from(rewritePngText(cat, 'prompt', toMine))).toEqual(
      withChunks(international('猫 mine/é.png')),
    );
  });

  test.each([
    ['a picture without texts', plain],
    ['a text that stays', withChunks(text('prompt\0nothing of that'))],
    ['a text of another keyword', withChunks(text('workflow\0hash'))],
    ['a compressed text', withChunks(pngChunk('zTXt', packed('prompt\0\0')))],
    ['a compressed international text', withChunks(pngChunk('iTXt', packed('prompt\0\x01\0\0\0')))],
    [
      'an international text that is not whole',
      withChunks(pngChunk('iTXt', latin1('prompt\0\0\0'))),
    ],
    ['a chunk that claims more than there is', withChunks(text('prompt\0hash')).subarray(0, 45)],
    ['no PNG', latin1('prompt\0hash')],
    ['nothing', Buffer.alloc(0)],
  ])('leaves the file as it is: %s', (_what, file) => {
    expect(rewritePngText(file, 'prompt', toMine)).toBe(file);
  });
});

describe('rewriting a text of a PNG that comes in pieces', () => {
  async function rewriteInPieces(file: Uint8Array, pieceBytes: number): Promise<Buffer> {
    const pieces = async function* () {
      for (let at = 0; at < file.length; at += pieceBytes) {
        await Promise.resolve();
        yield file.subarray(at, at + pieceBytes);
      }
    };
    const parts: Uint8Array[] = [];
    for await (const part of rewritePngTextStream(pieces(), 'prompt', toMine)) parts.push(part);
    return Buffer.concat(parts);
  }

  test.each([
    ['a text', withChunks(text('workflow\0hash'), text('prompt\0a "hash"'), text('x\0hash'))],
    ['a text behind the pixels', Buffer.concat([plain, text('prompt\0hash')])],
    ['an international text', withChunks(pngChunk('iTXt', latin1('prompt\0\0\0en\0E\0hash')))],
    ['no text', plain],
    ['a chunk that claims more than there is', withChunks(text('prompt\0hash')).subarray(0, 45)],
    ['something behind the end', Buffer.concat([withChunks(text('prompt\0hash')), latin1('more')])],
    ['no PNG', latin1('prompt\0hash prompt\0hash')],
    ['less than a signature', latin1('\x89PN')],
    ['nothing', Buffer.alloc(0)],
  ])('gives what it gives for the whole file: %s', async (_what, file) => {
    const whole = Buffer.from(rewritePngText(file, 'prompt', toMine));
    for (const pieceBytes of [1, 7, 40, 10_000]) {
      expect((await rewriteInPieces(file, pieceBytes)).equals(whole)).toBe(true);
    }
  });
});

function packed(head: string): Buffer {
  return Buffer.concat([latin1(head), deflateSync(latin1('hash'))]);
}
