import type { Sigmas } from '../sigmas.ts';
import type { SampleRequest } from './lowering.ts';
import type { NodeName } from './obstacle-list.ts';

/** What travels along a link, as far as it can be told without running the graph. */
export type GraphValue =
  | { readonly kind: 'scalar'; readonly value: Scalar }
  | { readonly kind: 'model'; readonly checkpoint: string | undefined }
  | Conditioning
  | { readonly kind: 'sampler'; readonly name: string | undefined }
  | Sigmas
  | Guider
  | { readonly kind: 'noise'; readonly seed: number | bigint | undefined }
  /** CLIP, VAE, CONTROL_NET and the like: nothing about them reaches an image service. */
  | { readonly kind: 'aid' }
  | Pixels
  | Unknown
  /** What an obstacle already stands for. */
  | { readonly kind: 'broken' };

export type Scalar = string | number | bigint | boolean;

export interface Conditioning {
  readonly kind: 'conditioning';
  readonly text: string;
  readonly guidance: number | undefined;
}

export interface Guider {
  readonly kind: 'guider';
  readonly checkpoint: string | undefined;
  readonly positive: Conditioning;
  readonly negative: string;
  readonly cfg: number | undefined;
}

/** Where pixels come from: nowhere, a picture of the graph, or a sampler. */
export type Origin = 'empty' | 'image' | 'stage';

/** An IMAGE or a LATENT; sizes in pixels, undefined when only the run can tell. */
export interface Pixels {
  readonly kind: 'pixels';
  readonly width: number | undefined;
  readonly height: number | undefined;
  readonly batch: number | undefined;
  readonly origin: Origin;
  readonly masked: boolean;
  /** The sampler whose noise is still in it. */
  readonly leftover: SamplingDraft | undefined;
}

/** A picture of which nothing but its origin is known. */
export function unsizedPixels(origin: Origin): Pixels {
  return {
    kind: 'pixels',
    width: undefined,
    height: undefined,
    batch: undefined,
    origin,
    masked: false,
    leftover: undefined,
  };
}

/** Made at run time by a node that is not looked into. */
export interface Unknown {
  readonly kind: 'unknown';
  readonly nodeId: string;
  readonly classType: string;
  readonly origin: Origin;
}

/** A request before it is known which picture's size it takes. */
export type SampleWish = Omit<SampleRequest, 'width' | 'height' | 'batch'>;

/** A sampler as the walk meets it; what follows it decides whether it is a stage. */
export interface SamplingDraft extends NodeName {
  readonly latentInput: string;
  readonly wish: SampleWish;
  readonly start: Pixels;
  /** Ends before its schedule does, so that another sampler can go on. */
  readonly leavesNoise: boolean;
  /** The sampler whose leftover noise this one goes on removing. */
  readonly goesOnFrom: SamplingDraft | undefined;
  /** Others go on from here. */
  isContinued: boolean;
  /** Something needs its picture as it is: a decoder, or a sampler that adds noise again. */
  isPictured: boolean;
  /** Something shows the noise that is left in it. */
  isShown: boolean;
}

export const BROKEN: GraphValue = { kind: 'broken' };
export const AID: GraphValue = { kind: 'aid' };

const MODEL_SIDE: ReadonlySet<GraphValue['kind']> = new Set([
  'model',
  'conditioning',
  'sampler',
  'sigmas',
  'guider',
  'noise',
  'aid',
]);

/** Whether only a model can make something of the value. */
export function isModelSide(value: GraphValue): boolean {
  return MODEL_SIDE.has(value.kind);
}
