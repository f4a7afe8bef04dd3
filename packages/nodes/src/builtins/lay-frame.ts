import { inRows, type Plane } from '@tiercel/pictures';

/** Lays a frame into a larger one of as many channels, its upper left corner there. @throws the signal's reason */
export async function layFrame(
  ground: Plane,
  frame: Plane,
  at: { readonly left: number; readonly top: number },
  signal: AbortSignal,
): Promise<void> {
  const row = frame.width * frame.channels;
  await inRows(
    frame,
    (y) => {
      const to = ((at.top + y) * ground.width + at.left) * ground.channels;
      ground.samples.set(frame.samples.subarray(y * row, (y + 1) * row), to);
    },
    signal,
  );
}
