import { BROKEN, type GraphValue, type Sigmas } from './graph-value.ts';
import type { Handler } from './lower-values.ts';
import type { NodeReader } from './node-reader.ts';

const SD_TURBO_STEPS = 10;

function schedule(
  scheduler: string | undefined,
  steps: number | undefined,
  denoise: number | undefined,
): readonly [GraphValue] {
  if (steps === undefined || denoise === undefined) return [BROKEN];
  const to = denoise > 0 ? Math.max(0, steps) : 0;
  return [{ kind: 'sigmas', scheduler, steps: to, denoise: Math.min(1, denoise), from: 0, to }];
}

/** Cuts its schedule out of a longer one: all its steps are run. */
const basicScheduler: Handler = (node) =>
  schedule(node.text('scheduler'), node.number('steps'), node.number('denoise'));

const fixedScheduler =
  (name: string): Handler =>
  (node) =>
    schedule(name, node.number('steps'), 1);

/** Its steps are those of the whole schedule, of which a denoise below 1 runs the last part. */
const cutScheduler =
  (name: string): Handler =>
  (node) => {
    const [steps, denoise] = [node.number('steps'), node.number('denoise')];
    if (steps === undefined || denoise === undefined) return [BROKEN];
    return schedule(name, Math.round(steps * Math.min(1, denoise)), denoise);
  };

const turboScheduler: Handler = (node) => {
  const [steps, denoise] = [node.number('steps'), node.number('denoise')];
  if (steps === undefined || denoise === undefined) return [BROKEN];
  return schedule('sd_turbo', Math.min(steps, Math.trunc(SD_TURBO_STEPS * denoise)), denoise);
};

const splitSigmas: Handler = (node) => {
  const [sigmas, step] = [node.value('sigmas', 'sigmas'), node.number('step')];
  return sigmas && step !== undefined ? splitAt(sigmas, sigmas.from + step) : [BROKEN, BROKEN];
};

const splitSigmasDenoise: Handler = (node) => {
  const [sigmas, denoise] = [node.value('sigmas', 'sigmas'), node.number('denoise')];
  if (!sigmas || denoise === undefined) return [BROKEN, BROKEN];
  return splitAt(sigmas, sigmas.to - Math.round((sigmas.to - sigmas.from) * denoise));
};

function splitAt(sigmas: Sigmas, step: number): readonly [GraphValue, GraphValue] {
  const at = Math.min(sigmas.to, Math.max(sigmas.from, step));
  return [
    { ...sigmas, to: at },
    { ...sigmas, from: at },
  ];
}

const refuseSigmas: Handler = (node) => {
  node.object('shape', 'changes the noise schedule by hand, which image services cannot');
  return [BROKEN];
};

const basicGuider: Handler = (node) => [
  {
    kind: 'guider',
    checkpoint: node.checkpoint('model'),
    positive: node.conditioning('conditioning'),
    negative: '',
    cfg: 1,
  },
];

const cfgGuider: Handler = (node) => [readGuider(node)];

function readGuider(node: NodeReader): GraphValue {
  return {
    kind: 'guider',
    checkpoint: node.checkpoint('model'),
    positive: node.conditioning('positive'),
    negative: node.conditioning('negative').text,
    cfg: node.number('cfg'),
  };
}

const refuseGuider: Handler = (node) => {
  node.object(
    'shape',
    'guides by more than one prompt and its negative, which image services cannot',
  );
  return [BROKEN];
};

/** A sampler of its own class is known by the name that KSamplerSelect has for it. */
const namedSampler =
  (name: string): Handler =>
  () => [{ kind: 'sampler', name }];

const SAMPLER_CLASSES: readonly (readonly [string, string])[] = [
  ['SamplerEulerAncestral', 'euler_ancestral'],
  ['SamplerEulerAncestralCFGPP', 'euler_ancestral_cfg_pp'],
  ['SamplerEulerCFGpp', 'euler_cfg_pp'],
  ['SamplerLMS', 'lms'],
  ['SamplerDPMPP_3M_SDE', 'dpmpp_3m_sde'],
  ['SamplerDPMPP_2M_SDE', 'dpmpp_2m_sde'],
  ['SamplerDPMPP_SDE', 'dpmpp_sde'],
  ['SamplerDPMPP_2S_Ancestral', 'dpmpp_2s_ancestral'],
  ['SamplerDPMAdaptative', 'dpm_adaptive'],
  ['SamplerER_SDE', 'er_sde'],
  ['SamplerSASolver', 'sa_solver'],
];

const refuseSampler: Handler = (node) => {
  node.object('shape', 'enlarges the picture while it samples, which image services cannot');
  return [BROKEN];
};

/** The parts that SamplerCustom and SamplerCustomAdvanced are put together from. */
export const samplingPartHandlers: readonly (readonly [string, Handler])[] = [
  ['RandomNoise', (node) => [{ kind: 'noise', seed: node.integer('noise_seed') }]],
  ['DisableNoise', () => [{ kind: 'noise', seed: undefined }]],
  ['BasicGuider', basicGuider],
  ['CFGGuider', cfgGuider],
  ['DualCFGGuider', refuseGuider],
  ['PerpNegGuider', refuseGuider],
  ['KSamplerSelect', (node) => [{ kind: 'sampler', name: node.text('sampler_name') }]],
  ...SAMPLER_CLASSES.map(([classType, name]) => [classType, namedSampler(name)] as const),
  ['SamplerLCMUpscale', refuseSampler],
  ['BasicScheduler', basicScheduler],
  ['KarrasScheduler', fixedScheduler('karras')],
  ['ExponentialScheduler', fixedScheduler('exponential')],
  ['PolyexponentialScheduler', fixedScheduler('polyexponential')],
  ['LaplaceScheduler', fixedScheduler('laplace')],
  ['VPScheduler', fixedScheduler('vp')],
  ['BetaSamplingScheduler', fixedScheduler('beta')],
  ['SDTurboScheduler', turboScheduler],
  ['AlignYourStepsScheduler', cutScheduler('align_your_steps')],
  ['GITSScheduler', cutScheduler('gits')],
  ['OptimalStepsScheduler', cutScheduler('optimal_steps')],
  ['SplitSigmas', splitSigmas],
  ['SplitSigmasDenoise', splitSigmasDenoise],
  ['FlipSigmas', refuseSigmas],
  ['SetFirstSigma', refuseSigmas],
  ['ExtendIntermediateSigmas', refuseSigmas],
];
