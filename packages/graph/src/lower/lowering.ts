import type { Omittable } from '@tiercel/contracts';

/** What a sampler of a graph asks for, in canonical words; a value the graph does not tell is undefined. */
export interface SampleRequest {
  readonly prompt: string;
  /** Empty when the graph has none. */
  readonly negative: string;
  /** Undefined when the sampler adds no noise of its own. */
  readonly seed: number | bigint | undefined;
  /** Steps that are run, as KSampler counts them: with denoise 0.5 they are the last half of a schedule. */
  readonly steps: number | undefined;
  readonly cfg: number | undefined;
  /** Distilled guidance of Flux (FluxGuidance), beside cfg. */
  readonly guidance: number | undefined;
  /** ComfyUI's names, such as `dpmpp_2m` and `karras`. */
  readonly sampler: string | undefined;
  readonly scheduler: string | undefined;
  /** 1 starts from noise alone, below that from what the latent holds. */
  readonly denoise: number;
  /** Of the picture in pixels; undefined when only the run can tell (the size of an init image). */
  readonly width: number | undefined;
  readonly height: number | undefined;
  readonly batch: number | undefined;
  readonly checkpoint: string | undefined;
}

/** One sampling that an image service can stand for. */
export interface SampleStage {
  /** The sampler: progress and errors are its own. */
  readonly nodeId: string;
  readonly classType: string;
  /** Its input that carries the latent to start from. */
  readonly latentInput: string;
  readonly request: SampleRequest;
  /** Where its first pixels come from: nowhere, a picture of the graph, or the stage before. */
  readonly init: 'empty' | 'image' | 'stage';
  /** Whether only a masked part is to be painted (inpainting). */
  readonly masked: boolean;
}

/** Something in the graph that no image service can honour. */
export interface Obstacle {
  readonly nodeId: string;
  readonly classType: string;
  /** `custom` and `shape` can never be left out. */
  readonly kind: Omittable | 'custom' | 'shape';
  /** For a person: names the node. */
  readonly reason: string;
}

/**
 * A graph as image services see it. Nodes that are in none of the sets run in the embedded executor as
 * they are.
 */
export interface Lowering {
  /** In the order they run; a later stage may start from the picture of an earlier one. */
  readonly stages: readonly SampleStage[];
  /**
   * Nodes that need not run: they only describe (loaders, encoders, guiders, sigmas, noise), or feed
   * nothing but such nodes (a number for a seed, a picture for a ControlNet).
   */
  readonly descriptive: ReadonlySet<string>;
  /**
   * Samplers whose work is part of a later stage (base before refiner) and those without a step to run
   * (denoise 0): id -> the input whose latent they pass on.
   */
  readonly passThrough: ReadonlyMap<string, string>;
  readonly obstacles: readonly Obstacle[];
}
