import { describe, expect, test } from '@jest/globals';
import {
  jpegWithTexts,
  movieWithComment,
  movieWithTexts,
  pngWithTexts,
  webmWithTexts,
  webpWithTexts,
} from '@tiercel/testkit';
import fc from 'fast-check';
import { readEmbeddedTexts } from './embedded-texts.ts';

const texts = {
  prompt: '{"1": {"class_type": "A"}}',
  workflow: '{"nodes": [], "title": "\\u00e9"}',
};

const FILES: readonly (readonly [what: string, format: string, file: Buffer])[] = [
  ['a PNG', 'PNG', pngWithTexts(texts)],
  ['an animated PNG of ComfyUI', 'PNG', pngWithTexts(texts, 'comf')],
  ['a WebP', 'WebP', webpWithTexts(texts)],
  ['a JPEG', 'JPEG', jpegWithTexts(texts)],
  ['an MP4', 'MP4', movieWithTexts(texts)],
  ['a QuickTime film', 'MP4', movieWithTexts(texts, 'mov')],
  ['a WebM', 'WebM', webmWithTexts(texts)],
];

describe('the texts of a file', () => {
  test.each(FILES)('are read from %s', (_what, format, file) => {
    expect(readEmbeddedTexts(file)).toEqual({ format, texts: new Map(Object.entries(texts)) });
  });

  test('are read as a comment of a film', () => {
    const comment = '{"workflow": {}}';
    expect(readEmbeddedTexts(movieWithComment(comment))?.texts.get('comment')).toBe(comment);
  });

  test('none are there in a file of another kind, and in an empty one', () => {
    for (const text of ['', '{"prompt": {}}', 'GIF89a', '%PDF', '\0'.repeat(100)]) {
      expect(readEmbeddedTexts(Buffer.from(text))).toBeUndefined();
    }
  });

  test.each(FILES)(
    'of %s that is cut or changed anywhere are none, or what is left',
    (_what, _format, file) => {
      fc.assert(
        fc.property(fc.nat(file.length), fc.nat(file.length - 1), fc.nat(255), (end, at, byte) => {
          const damaged = Buffer.from(file);
          damaged[at] = byte;
          const read = readEmbeddedTexts(damaged.subarray(0, end));
          expect([...(read?.texts.values() ?? [])].join('').length).toBeLessThanOrEqual(
            file.length,
          );
        }),
        { numRuns: 300 },
      );
    },
  );
});
