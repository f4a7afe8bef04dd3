import type { ImageParam, ImageWish } from './image-service.ts';

/** What a service can be asked for at all. */
export interface ServiceLimits {
  readonly honours: ReadonlySet<ImageParam>;
  /** Whether it refuses an empty prompt, which ComfyUI takes. */
  readonly needsPrompt: boolean;
  /** Characters; absent: any number. */
  readonly maxPromptLength?: number;
}

/** A batch of more is left to ComfyUI: each picture is a paid request, or memory, and all are kept until the last. */
const MAX_PICTURES = 32;

/**
 * Why a service cannot serve a request, as an answer to "this tier ..."; undefined when it can. A picture or a
 * mask to start from is no parameter to leave out: without it the result is another picture.
 */
export function findObstacleIn(wish: ImageWish, limits: ServiceLimits): string | undefined {
  const { honours, needsPrompt, maxPromptLength = Infinity } = limits;
  if (wish.hasInit && !honours.has('init_image')) return 'takes no image to start from';
  if (wish.hasMask && !honours.has('mask')) return 'takes no mask';
  if (wish.hasMask && !wish.hasInit) return 'takes a mask only with an image to start from';
  if (needsPrompt && wish.prompt.trim() === '') return 'needs a prompt text';
  if (wish.prompt.length > maxPromptLength) {
    return `takes prompts of up to ${maxPromptLength} characters`;
  }
  if ((wish.batch ?? 1) > MAX_PICTURES) return `makes at most ${MAX_PICTURES} pictures for a job`;
  return undefined;
}

/** The picture to start from for one of a batch: its own, or the one for all. */
export function initOf(
  init: readonly Uint8Array[] | undefined,
  index: number,
): Uint8Array | undefined {
  return init?.[index] ?? init?.[0];
}
