/** The trivial jobs of these benchmarks. */

export interface PromptBodies {
  /** SaveImage writes to output/, PreviewImage to temp/. */
  readonly output: 'SaveImage' | 'PreviewImage';
  /** Colour of the first prompt. Each further one has the next, or all have the same. */
  readonly firstColor: number;
  readonly colors: 'distinct' | 'same';
}

export type JobKind =
  /** A plain 64x48 picture. */
  | { readonly kind: 'picture' }
  /** A node of the fake ComfyUI that does nothing for that long, and a small picture. */
  | { readonly kind: 'wait'; readonly ms: number }
  /** A node of the fake ComfyUI that sends previews. `bytes`: what its server makes them. */
  | {
      readonly kind: 'previews';
      readonly count: number;
      readonly intervalMs: number;
      readonly bytes: number;
    };

const MAX_COLOR = 0xffffff;
let lastColor = 0;

/** Sets `count` colours aside that no other prompt of this process uses: nothing they make is cached. */
export function takeColors(count: number): number {
  const first = lastColor + 1;
  lastColor += count;
  if (lastColor > MAX_COLOR) throw new Error('out of colours');
  return first;
}

/** The body of POST /prompt for one job whose picture is stored. */
export function promptBody(
  output: PromptBodies['output'],
  color: number,
  clientId?: string,
): string {
  return writeBody(emptyImage(color), output, clientId);
}

/** The body of POST /prompt for one job of that kind; its picture goes to temp/. */
export function describeJob(job: JobKind, color: number, clientId: string): string {
  return writeBody(firstNode(job, color), 'PreviewImage', clientId);
}

interface Node {
  readonly class_type: string;
  readonly inputs: object;
}

function firstNode(job: JobKind, color: number): Node {
  switch (job.kind) {
    case 'picture':
      return emptyImage(color);
    case 'wait':
      return { class_type: 'RunMs', inputs: { ms: job.ms, seed: color } };
    case 'previews':
      // It has no input for a colour: a delay that nobody notices makes it another node.
      return {
        class_type: 'SlowPreview',
        inputs: { steps: job.count, delay: job.intervalMs / 1_000 + color * 1e-12, fail_at: -1 },
      };
  }
}

function emptyImage(color: number): Node {
  return { class_type: 'EmptyImage', inputs: { width: 64, height: 48, batch_size: 1, color } };
}

function writeBody(node: Node, output: PromptBodies['output'], clientId?: string): string {
  const images = ['1', 0];
  return JSON.stringify({
    prompt: {
      '1': node,
      '2': {
        class_type: output,
        inputs: output === 'SaveImage' ? { images, filename_prefix: 'bench' } : { images },
      },
    },
    ...(clientId === undefined ? {} : { client_id: clientId }),
  });
}
