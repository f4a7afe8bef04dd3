import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { decodeFrames } from './decode-frames.ts';
import { readHeader } from './read-header.ts';

/** What Pillow 13 makes of a file, with LOAD_TRUNCATED_IMAGES: base64, one text a frame. */
interface PillowCase {
  readonly name: string;
  readonly file: string;
  readonly width: number;
  readonly height: number;
  /** RGB. */
  readonly colours: readonly string[];
  /** None for a picture without a mask. */
  readonly alpha: readonly string[];
}

const cases = JSON.parse(
  readFileSync(new URL('../fixtures/pillow-cases.json', import.meta.url), 'utf8'),
) as PillowCase[];
const LIMITS = { maxPixels: 100_000, setting: 'worker.maxPixels' };

const bytesOf = (texts: readonly string[]) =>
  Buffer.concat(texts.map((text) => Buffer.from(text, 'base64')));

/** Colours and alpha of all frames as bytes; grey is spread over the three colours. */
async function decode(file: Uint8Array, name = 'a.png') {
  const source = { name, content: file };
  const header = await readHeader(source, LIMITS);
  const colours: number[] = [];
  const alpha: number[] = [];
  let frames = 0;
  for await (const { data, channels } of decodeFrames(source, header)) {
    frames += 1;
    for (let i = 0; i < data.length; i += channels) {
      const grey = channels < 3;
      colours.push(data[i]!, data[grey ? i : i + 1]!, data[grey ? i : i + 2]!);
      if (channels === 2 || channels === 4) alpha.push(data[i + channels - 1]!);
    }
  }
  return { header, frames, colours: Buffer.from(colours), alpha: Buffer.from(alpha) };
}

const differenceOf = (a: Buffer, b: Buffer) =>
  a.reduce((worst, value, i) => Math.max(worst, Math.abs(value - b[i]!)), 0);

describe('frames are those that ComfyUI gets from Pillow', () => {
  test.each(cases.map((item) => [item.name, item] as const))('%s', async (_, expected) => {
    const { header, frames, colours, alpha } = await decode(Buffer.from(expected.file, 'base64'));
    expect([header.width, header.height, frames]).toEqual([
      expected.width,
      expected.height,
      expected.colours.length,
    ]);
    expect(colours).toHaveLength(bytesOf(expected.colours).length);
    expect(differenceOf(colours, bytesOf(expected.colours))).toBeLessThanOrEqual(1);
    // A GIF may count as transparent although nothing shines through.
    if (header.format !== 'gif') expect(header.hasAlpha).toBe(expected.alpha.length > 0);
    if (expected.alpha.length > 0) {
      expect(differenceOf(alpha, bytesOf(expected.alpha))).toBeLessThanOrEqual(1);
    } else if (header.hasAlpha) {
      expect(alpha.every((value) => value === 255)).toBe(true);
    }
  });
});
