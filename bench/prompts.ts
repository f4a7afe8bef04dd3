/** The trivial job of these benchmarks: a plain 64x48 picture, stored. */

export interface PromptBodies {
  /** SaveImage writes to output/, PreviewImage to temp/. */
  readonly output: 'SaveImage' | 'PreviewImage';
  /** Colour of the first prompt. Each further one has the next, or all have the same. */
  readonly firstColor: number;
  readonly colors: 'distinct' | 'same';
}

const MAX_COLOR = 0xffffff;
let lastColor = 0;

/** Sets `count` colours aside that no other prompt of this process uses: nothing they make is cached. */
export function takeColors(count: number): number {
  const first = lastColor + 1;
  lastColor += count;
  if (lastColor > MAX_COLOR) throw new Error('out of colours');
  return first;
}

/** The body of POST /prompt for one job. */
export function promptBody(
  output: PromptBodies['output'],
  color: number,
  clientId?: string,
): string {
  const images = ['1', 0];
  return JSON.stringify({
    prompt: {
      '1': {
        class_type: 'EmptyImage',
        inputs: { width: 64, height: 48, batch_size: 1, color },
      },
      '2': {
        class_type: output,
        inputs: output === 'SaveImage' ? { images, filename_prefix: 'bench' } : { images },
      },
    },
    ...(clientId === undefined ? {} : { client_id: clientId }),
  });
}
