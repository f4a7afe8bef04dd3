import { createPacer } from '../pacer.ts';

/** Works on a picture row by row, giving the event loop back in between. */
export async function eachRow(height: number, work: (y: number) => void): Promise<void> {
  const pace = createPacer();
  for (let y = 0; y < height; y += 1) {
    work(y);
    const pause = pace();
    if (pause) await pause;
  }
}
