import { openRawColumn } from '../decode/open-picture.ts';
import { runNative } from '../work/native-turns.ts';
import { writeBytes } from '../work/samples.ts';
import { inSlices } from '../work/slices.ts';
import { createExif } from './exif.ts';
import { addWebpExif } from './webp-container.ts';

/** Frames of one size, interleaved samples in 0..1. */
export interface FrameSequence {
  readonly width: number;
  readonly height: number;
  readonly channels: 3 | 4;
  readonly frames: readonly Float32Array[];
}

export interface WebpOptions {
  /** How long each frame is shown. */
  readonly frameMs: number;
  readonly lossless: boolean;
  /** 0 to 100; of a lossless file how hard it is made smaller. */
  readonly quality: number;
  /** libwebp's method, 0 (fast) to 6 (small). */
  readonly effort: number;
  /** Name and text of what the file was made from, in EXIF. */
  readonly texts?: readonly (readonly [name: string, text: string])[];
  readonly signal?: AbortSignal;
}

/** Bytes of memory that encoding takes at its peak: all frames as one column, and libwebp's own. */
export function animatedWebpBytes({ width, height, channels, frames }: FrameSequence): number {
  return width * height * (channels * frames.length + 8);
}

/**
 * Encodes frames as an animated WebP that repeats for ever.
 * @throws the reason of the signal
 */
export async function encodeAnimatedWebp(
  sequence: FrameSequence,
  options: WebpOptions,
): Promise<Uint8Array> {
  const { width, height, channels, frames } = sequence;
  const { frameMs, lossless, quality, effort, texts = [], signal } = options;
  const frameBytes = width * height * channels;
  const column = new Uint8Array(frameBytes * frames.length);
  for (const [index, frame] of frames.entries()) {
    await inSlices(
      frameBytes,
      (from, to) => {
        writeBytes(frame, column, { from, to, at: index * frameBytes + from });
      },
      signal,
    );
  }
  signal?.throwIfAborted();
  const picture = openRawColumn({ width, height, channels, data: column }, frames.length);
  const file = await runNative(width * height * frames.length, () =>
    picture
      .webp({ lossless, quality, effort, loop: 0, delay: frames.map(() => frameMs) })
      .toBuffer(),
  );
  signal?.throwIfAborted();
  return texts.length === 0 ? file : addWebpExif(file, createExif(texts), { width, height });
}
