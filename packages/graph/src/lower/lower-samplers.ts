import { summariseSigmas, type Sigmas } from '../sigmas.ts';
import type { GraphValue, Guider, SampleWish, SamplingDraft } from './graph-value.ts';
import type { Handler } from './lower-values.ts';
import type { NodeReader } from './node-reader.ts';

/** The samplers of one graph. */
export interface SamplerLedger {
  /** By node id, in the order they run. */
  readonly drafts: Map<string, SamplingDraft>;
  /** Samplers that have no step to run: id -> the input whose latent they pass on. */
  readonly idle: Map<string, string>;
}

/** Nodes that sample; what they find goes into the ledger. */
export function createSamplerHandlers(
  ledger: SamplerLedger,
): readonly (readonly [string, Handler])[] {
  return [
    ['KSampler', (node) => sample(node, readKSampler(node), ledger)],
    ['KSamplerAdvanced', (node) => sample(node, readKSamplerAdvanced(node), ledger)],
    ['SamplerCustom', (node) => sample(node, readSamplerCustom(node), ledger)],
    ['SamplerCustomAdvanced', (node) => sample(node, readSamplerCustomAdvanced(node), ledger)],
  ];
}

interface Sampling {
  readonly wish: SampleWish;
  readonly addsNoise: boolean;
  readonly leavesNoise: boolean;
}

const LATENT_INPUT = 'latent_image';

/** The second output is ComfyUI's `denoised_output`: the picture without the noise that may be left. */
function sample(
  node: NodeReader,
  { wish, addsNoise, leavesNoise }: Sampling,
  ledger: SamplerLedger,
): readonly [GraphValue, GraphValue] {
  const start = node.pixels(LATENT_INPUT);
  const { nodeId, classType } = node;
  if (wish.denoise <= 0 || (wish.steps !== undefined && wish.steps <= 0)) {
    ledger.idle.set(nodeId, LATENT_INPUT);
    return [start, start];
  }
  const before = start.leftover;
  if (before) {
    if (addsNoise) before.isPictured = true;
    else before.isContinued = true;
  }
  const draft: SamplingDraft = {
    nodeId,
    classType,
    latentInput: LATENT_INPUT,
    wish,
    start,
    leavesNoise,
    goesOnFrom: addsNoise ? undefined : before,
    isContinued: false,
    isPictured: false,
    isShown: false,
  };
  ledger.drafts.set(nodeId, draft);
  const picture: GraphValue = { ...start, origin: 'stage', leftover: undefined };
  return [{ ...picture, leftover: leavesNoise ? draft : undefined }, picture];
}

function readKSampler(node: NodeReader): Sampling {
  const wish = { ...readPrompts(node), ...readMethod(node), seed: node.integer('seed') };
  const [steps, denoise] = [node.number('steps'), node.number('denoise') ?? 1];
  return {
    wish: { ...wish, cfg: node.number('cfg'), steps, denoise: Math.min(1, denoise) },
    addsNoise: true,
    leavesNoise: false,
  };
}

/** `steps` are those of the whole schedule, of which this runs `start_at_step` to `end_at_step`. */
function readKSamplerAdvanced(node: NodeReader): Sampling {
  const addsNoise = node.text('add_noise') !== 'disable';
  const total = node.number('steps');
  const start = node.number('start_at_step') ?? 0;
  const end = Math.min(node.number('end_at_step') ?? Infinity, total ?? Infinity);
  const leavesNoise = node.text('return_with_leftover_noise') === 'enable';
  const seed = node.integer('noise_seed');
  return {
    wish: {
      ...readPrompts(node),
      ...readMethod(node),
      seed: addsNoise ? seed : undefined,
      cfg: node.number('cfg'),
      steps: total === undefined ? undefined : Math.max(0, end - start),
      denoise: total === undefined || total <= 0 ? 1 : Math.max(0, (total - start) / total),
    },
    addsNoise,
    leavesNoise: leavesNoise && total !== undefined && end < total,
  };
}

function readSamplerCustom(node: NodeReader): Sampling {
  const addsNoise = node.boolean('add_noise') ?? true;
  const seed = node.integer('noise_seed');
  const sigmas = node.value('sigmas', 'sigmas');
  return {
    wish: {
      ...readPrompts(node),
      ...readSigmas(sigmas),
      sampler: node.value('sampler', 'sampler')?.name,
      seed: addsNoise ? seed : undefined,
      cfg: node.number('cfg'),
    },
    addsNoise,
    leavesNoise: leavesNoise(sigmas),
  };
}

function readSamplerCustomAdvanced(node: NodeReader): Sampling {
  const seed = node.value('noise', 'noise')?.seed;
  const sigmas = node.value('sigmas', 'sigmas');
  return {
    wish: {
      ...readGuider(node.value('guider', 'guider')),
      ...readSigmas(sigmas),
      sampler: node.value('sampler', 'sampler')?.name,
      seed,
    },
    addsNoise: seed !== undefined,
    leavesNoise: leavesNoise(sigmas),
  };
}

function readPrompts(node: NodeReader) {
  const { text, guidance } = node.conditioning('positive');
  const negative = node.conditioning('negative').text;
  return { prompt: text, negative, guidance, checkpoint: node.checkpoint('model') };
}

function readMethod(node: NodeReader) {
  return { sampler: node.text('sampler_name'), scheduler: node.text('scheduler') };
}

function readGuider(guider: Guider | undefined) {
  return {
    prompt: guider?.positive.text ?? '',
    negative: guider?.negative ?? '',
    guidance: guider?.positive.guidance,
    cfg: guider?.cfg,
    checkpoint: guider?.checkpoint,
  };
}

function readSigmas(sigmas: Sigmas | undefined) {
  if (sigmas === undefined) return { scheduler: undefined, steps: undefined, denoise: 1 };
  const { scheduler, steps, denoise } = summariseSigmas(sigmas);
  return { scheduler, steps, denoise };
}

function leavesNoise(sigmas: Sigmas | undefined): boolean {
  return sigmas !== undefined && summariseSigmas(sigmas).leavesNoise;
}
