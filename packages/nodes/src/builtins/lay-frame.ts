import { eachRow } from './each-row.ts';

interface Frame {
  readonly width: number;
  readonly height: number;
  readonly samples: Float32Array;
}

/** Lays a frame into a larger one of as many channels, its upper left corner at (`left`, `top`). */
export async function layFrame(
  ground: Frame,
  frame: Frame,
  at: { readonly left: number; readonly top: number; readonly channels: number },
): Promise<void> {
  const row = frame.width * at.channels;
  await eachRow(frame.height, (y) => {
    const to = ((at.top + y) * ground.width + at.left) * at.channels;
    ground.samples.set(frame.samples.subarray(y * row, (y + 1) * row), to);
  });
}
