/**
 * The values that travel along links. They are shared by nodes, jobs and the cache at once, so a node
 * never changes a value it was given: it makes a new one (frames that stay the same may be shared).
 */

/** Says that a picture came from the built-in sketch generator, not from a model. */
export interface SketchMark {
  readonly generator: string;
  readonly seed: number | bigint;
}

/** ComfyUI's IMAGE: frames of interleaved float32 samples in 0..1, `width * height * channels` each. */
export interface ImageBatch {
  readonly kind: 'image';
  readonly width: number;
  readonly height: number;
  readonly channels: 3 | 4;
  readonly frames: readonly Float32Array[];
  readonly sketch?: SketchMark | undefined;
}

/** ComfyUI's MASK: frames of `width * height` float32 samples in 0..1. */
export interface MaskBatch {
  readonly kind: 'mask';
  readonly width: number;
  readonly height: number;
  readonly frames: readonly Float32Array[];
}

/** One frame of a mask. */
export interface MaskPlane {
  readonly width: number;
  readonly height: number;
  readonly samples: Float32Array;
}

/** A MODEL, CLIP or VAE: only what it was loaded from, as the sketch generator needs no weights. */
export interface ModelHandle {
  readonly kind: 'model' | 'clip' | 'vae';
  /** The file; with those of what was applied to it (LoRAs) behind it. */
  readonly checkpoint: string;
}

/** A CONTROL_NET, CLIP_VISION, UPSCALE_MODEL or the like: nothing about it reaches a sketch. */
export interface AidHandle {
  readonly kind: 'aid';
  /** ComfyUI's name of the type. */
  readonly type: string;
}

/** ComfyUI's CONDITIONING. */
export interface Conditioning {
  readonly kind: 'conditioning';
  readonly text: string;
}

/** ComfyUI's SAMPLER. */
export interface SamplerHandle {
  readonly kind: 'sampler';
  /** As KSamplerSelect has it, or the class that made it. */
  readonly name: string;
}

/** ComfyUI's NOISE; without a seed it adds none. */
export interface NoiseHandle {
  readonly kind: 'noise';
  readonly seed: number | bigint | undefined;
}

/** ComfyUI's GUIDER. */
export interface Guider {
  readonly kind: 'guider';
  readonly checkpoint: string;
  readonly prompt: string;
  readonly negative: string;
  readonly cfg: number;
}

/** What the sketch generator draws; every field changes the picture. */
export interface SketchRecipe {
  readonly prompt: string;
  readonly negative: string;
  readonly seed: number | bigint;
  /** Position in the batch. */
  readonly index: number;
  readonly steps: number;
  readonly cfg: number;
  /** Checkpoint, sampler and scheduler. */
  readonly style: string;
}

/** One coat of a latent frame: pixels from VAEEncode, or a recipe painted over what lies below. */
export type LatentLayer =
  | {
      readonly kind: 'pixels';
      readonly width: number;
      readonly height: number;
      /** Interleaved RGB in 0..1. */
      readonly samples: Float32Array;
    }
  | {
      readonly kind: 'recipe';
      readonly recipe: SketchRecipe;
      /** How much of it covers the layers below, 0..1 (KSampler's denoise). */
      readonly weight: number;
      /** Where it is painted at all; everywhere without one. Stretched to the size of the picture. */
      readonly mask?: MaskPlane | undefined;
    };

/** ComfyUI's LATENT. Width and height are those of the decoded picture, in pixels. */
export interface Latent {
  readonly kind: 'latent';
  readonly width: number;
  readonly height: number;
  /** One entry per picture; layers from the bottom up, none for an empty latent. */
  readonly frames: readonly (readonly LatentLayer[])[];
  /** ComfyUI's noise_mask: samplers paint only where it is not 0. Of any size; its frames repeat. */
  readonly mask?: MaskBatch | undefined;
  readonly sketch?: SketchMark | undefined;
}

/**
 * Several values on one link, ComfyUI's OUTPUT_IS_LIST: what reads it runs once for each. Unlike a batch, its
 * pictures may be of different sizes. A class, as plug-ins may tag values of their own with any `kind`.
 */
export class ValueList {
  readonly values: readonly unknown[];

  constructor(values: readonly unknown[]) {
    this.values = values;
  }
}

/** Whether a value carries the mark of the sketch generator. */
export function isSketch(value: unknown): boolean {
  if (value instanceof ValueList) return value.values.some(isSketch);
  return (
    typeof value === 'object' && value !== null && 'sketch' in value && value.sketch !== undefined
  );
}

/** Whether a value is one of the tagged values of values.ts (or a plug-in's of that form). */
export function isPicture(value: unknown): value is { readonly kind: string } {
  return (
    typeof value === 'object' && value !== null && 'kind' in value && typeof value.kind === 'string'
  );
}

/**
 * A value as it may stand in an error report: plain values as they are (bigints included), pictures and
 * the like as a short text, never their samples.
 */
export function describeValue(value: unknown): string | number | bigint | boolean | null {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string' || typeof value === 'boolean' || typeof value === 'bigint')
    return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (value instanceof ValueList) return `<list x${value.values.length}>`;
  if (!isPicture(value)) return `<${typeof value}>`;
  const size =
    'width' in value && 'height' in value ? ` ${String(value.width)}x${String(value.height)}` : '';
  const count = 'frames' in value && Array.isArray(value.frames) ? ` x${value.frames.length}` : '';
  return `<${value.kind}${size}${count}>`;
}
