import type { ParamChange } from '@tiercel/contracts';
import type { Lowering, SampleStage } from '@tiercel/graph';
import {
  joinPictures,
  type Latent,
  type NodeContext,
  readLatent,
  renderMaskPng,
  renderPngs,
} from '@tiercel/nodes';
import type { PreviewPicture, TierAttemptContext } from '@tiercel/routing';
import { checkPictures } from './check-pictures.ts';
import { generateWithin } from './generate-within.ts';
import type { ImageParam, ImageRequest, ImageService } from './image-service.ts';

/** Steps shown for a sampler that names none. */
const SHOWN_STEPS = 20;

/** The samplings of one attempt, and what became of the parameters asked for. */
export class ServiceRun {
  readonly #service: ImageService;
  readonly #context: TierAttemptContext;
  readonly #timeoutMs: number;
  readonly #maxPixels: number;
  readonly #dropped = new Set<ImageParam>();
  readonly #changed: ParamChange[] = [];
  #model: string;
  readonly #stages: number;
  #stagesLeft: number;
  readonly #maySplit: boolean;

  constructor(parts: {
    service: ImageService;
    lowering: Lowering;
    context: TierAttemptContext;
    timeoutMs: number;
    maxPixels: number;
    /** Whether a batch that is too much for the service may be painted in two. */
    maySplit: boolean;
  }) {
    this.#service = parts.service;
    this.#context = parts.context;
    this.#timeoutMs = parts.timeoutMs;
    this.#maxPixels = parts.maxPixels;
    this.#model = parts.service.model;
    this.#stages = parts.lowering.stages.length;
    this.#stagesLeft = this.#stages;
    this.#maySplit = parts.maySplit;
  }

  /** What the report says of the service. */
  facts(): { model: string; droppedParams: string[]; changedParams: ParamChange[] } {
    return {
      model: this.#model,
      droppedParams: [...this.#dropped],
      changedParams: this.#changed,
    };
  }

  /** One sampler: what its latent holds goes to the service, what comes back is its latent. */
  async sample(stage: SampleStage, value: unknown, node: NodeContext): Promise<Latent> {
    const latent = readLatent({ value }, 'value');
    const request = await toRequest(stage, latent, node);
    const steps = request.steps ?? SHOWN_STEPS;
    const show = (fraction: number, isEstimated: boolean, preview?: PreviewPicture) => {
      if (node.signal.aborted) return;
      const value = Math.min(steps, Math.round(fraction * steps));
      this.#context.listener.progress(stage.nodeId, value, steps, preview, isEstimated);
    };
    const { expectedMs } = this.#context;
    const shareMs = expectedMs === undefined ? undefined : expectedMs / this.#stages;
    const stopEstimate = estimateProgress(shareMs, (fraction) => {
      show(fraction, true);
    });
    try {
      const limits = { signal: node.signal, timeoutMs: this.#timeoutMs };
      const onProgress = (fraction: number, preview?: PreviewPicture) => {
        stopEstimate();
        show(fraction, false, preview);
      };
      const context = { ...limits, onProgress };
      const served = await generateWithin(this.#service, request, context, this.#maySplit);
      const { batch, width, height } = request;
      this.#context.countPictures?.(batch, batch * width * height);
      const { signal, reserveMemory } = node;
      const checkLimits = { signal, reserveMemory, maxPixels: this.#maxPixels };
      const checked = await checkPictures(served.images, request, checkLimits);
      for (const param of findDropped(request, this.#service.honours)) this.#dropped.add(param);
      for (const param of served.dropped) this.#dropped.add(param);
      const isSizeListed = served.changed.some(({ param }) => param === 'size');
      for (const change of served.changed) this.#note(change);
      for (const change of isSizeListed ? [] : checked.changed) this.#note(change);
      this.#model = served.model;
      this.#stagesLeft -= 1;
      if (this.#stagesLeft === 0) this.#context.claim();
      show(1, false);
      // As ComfyUI: a mask stays with the latent for the next sampler.
      return { ...joinPictures(checked.pictures), mask: latent.mask };
    } finally {
      stopEstimate();
    }
  }

  #note(change: ParamChange): void {
    const isKnown = this.#changed.some(
      ({ param, asked, used }) =>
        param === change.param && asked === change.asked && used === change.used,
    );
    if (!isKnown) this.#changed.push(change);
  }
}

/** A picture that is painted over completely need not be sent. */
export function takesInit({ init, masked, request }: SampleStage): boolean {
  return init !== 'empty' && (request.denoise < 1 || masked);
}

async function toRequest(
  stage: SampleStage,
  latent: Latent,
  node: NodeContext,
): Promise<ImageRequest> {
  const { request } = stage;
  const { width, height } = latent;
  const hasInit = takesInit(stage);
  return {
    ...request,
    width,
    height,
    batch: latent.frames.length,
    denoise: hasInit ? request.denoise : 1,
    init: hasInit ? await renderPngs(latent, node) : undefined,
    mask: await renderMaskPng(latent, node),
  };
}

const EVERY_MS = 250;
/** An estimate never says that the work is done. */
const MOST = 0.95;

/**
 * Reports guessed progress from the time that recent attempts took, until stopped. The guess nears its
 * end ever more slowly, so that a slow attempt still moves.
 * @param expectedMs how long the attempt will take; undefined gives no progress
 */
function estimateProgress(
  expectedMs: number | undefined,
  report: (fraction: number) => void,
): () => void {
  if (expectedMs === undefined) return () => undefined;
  const started = Date.now();
  const timer = setInterval(() => {
    const share = (Date.now() - started) / Math.max(expectedMs, 1);
    report(MOST * (1 - Math.exp(-2 * share)));
  }, EVERY_MS);
  return () => {
    clearInterval(timer);
  };
}

/** Parameters that a request gives and a service does not honour. */
function findDropped(request: ImageRequest, honours: ReadonlySet<ImageParam>): ImageParam[] {
  const given: Record<ImageParam, boolean> = {
    negative: request.negative.trim() !== '',
    seed: request.seed !== undefined,
    steps: request.steps !== undefined,
    cfg: request.cfg !== undefined,
    guidance: request.guidance !== undefined,
    sampler: request.sampler !== undefined,
    scheduler: request.scheduler !== undefined,
    // A wrong size is made right here, several pictures are asked for one by one.
    size: false,
    batch: false,
    denoise: request.init !== undefined,
    init_image: request.init !== undefined,
    mask: request.mask !== undefined,
  };
  const params = Object.keys(given) as ImageParam[]; // the keys of the record above
  return params.filter((param) => given[param] && !honours.has(param));
}
