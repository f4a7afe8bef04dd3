import type { ParamChange } from '@tiercel/contracts';
import type { SampleRequest } from '@tiercel/graph';
import type { PreviewPicture } from '@tiercel/routing';

/** The canonical parameters of an image request: what reports of dropped and changed ones name. */
export const IMAGE_PARAMS = [
  'negative',
  'seed',
  'steps',
  'cfg',
  'guidance',
  'sampler',
  'scheduler',
  'size',
  'batch',
  'denoise',
  'init_image',
  'mask',
] as const;
export type ImageParam = (typeof IMAGE_PARAMS)[number];

/** One request for pictures. */
export interface ImageRequest extends Pick<
  SampleRequest,
  'prompt' | 'negative' | 'seed' | 'steps' | 'cfg' | 'guidance' | 'sampler' | 'scheduler'
> {
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  /** Pictures wanted, at least 1. */
  readonly batch: number;
  /** 1 without an init image; with one, how much of it is painted anew (0..1). */
  readonly denoise: number;
  /** PNG files of width x height, one for all pictures or one for each. */
  readonly init: readonly Uint8Array[] | undefined;
  /** PNG file of width x height, white where the picture is to be painted anew. */
  readonly mask: Uint8Array | undefined;
}

/** What of a request is known before it runs. */
export type ImageWish = Omit<ImageRequest, 'width' | 'height' | 'batch' | 'init' | 'mask'> & {
  readonly width: number | undefined;
  readonly height: number | undefined;
  readonly batch: number | undefined;
  readonly hasInit: boolean;
  readonly hasMask: boolean;
};

export interface ServiceContext {
  /** Aborted by interrupt, deadline, or when another tier was faster; the call ends at once. */
  readonly signal: AbortSignal;
  /** Limit for the whole of the call. */
  readonly timeoutMs: number;
  /** Progress as the service itself tells it, 0..1; never an estimate. */
  onProgress(fraction: number, preview?: PreviewPicture): void;
}

export interface ServedImages {
  /** Picture files as the service gave them (PNG, JPEG or WebP), one for each that was asked. */
  readonly images: readonly Uint8Array[];
  /** What painted them, in the service's words. */
  readonly model: string;
  /** Parameters that had to be left out only now (a seed the service chokes on). */
  readonly dropped: readonly ImageParam[];
  readonly changed: readonly (ParamChange & { readonly param: ImageParam })[];
}

/** One kind of image service, one instance a tier. */
export interface ImageService {
  /** The model it will use, as far as it is known beforehand. */
  readonly model: string;
  /** Parameters it passes on; others that a request gives are reported as dropped. */
  readonly honours: ReadonlySet<ImageParam>;
  /**
   * Why it cannot serve a request at all; asked before queueing there, never learnt from a failure. Asked once for a
   * job: the answer depends on nothing but the wish.
   */
  findObstacle(wish: ImageWish): string | undefined;
  /** See Backend. */
  hasOtherServer?(): boolean;
  /**
   * @throws AttemptError of the class that the vendor's answer stands for, with `retryAtMs` when the
   *         vendor names a time; never the vendor's own text of an authentication error
   */
  generate(request: ImageRequest, context: ServiceContext): Promise<ServedImages>;
}
