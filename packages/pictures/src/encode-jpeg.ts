import { openRaw } from './decode/open-picture.ts';
import { toBytes } from './work/samples.ts';
import { runNative } from './work/native-turns.ts';

/**
 * Encodes one frame as JPEG; alpha is dropped.
 * @param frame samples in 0..1
 * @param quality 1 to 100
 */
export async function encodeJpeg(
  frame: {
    readonly width: number;
    readonly height: number;
    readonly channels: 3 | 4;
    readonly samples: Float32Array;
  },
  quality: number,
): Promise<Uint8Array> {
  const { width, height, channels } = frame;
  const input = openRaw({ width, height, channels, data: await toBytes(frame.samples) });
  const opaque = channels === 4 ? input.removeAlpha() : input;
  return runNative(width * height, () => opaque.jpeg({ quality }).toBuffer());
}
