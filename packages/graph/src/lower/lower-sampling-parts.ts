import {
  createCutSigmas,
  createSigmas,
  createTurboSigmas,
  parseSigmas,
  splitSigmas,
  splitSigmasByDenoise,
  type Sigmas,
} from '../sigmas.ts';
import { BROKEN, type GraphValue } from './graph-value.ts';
import type { Handler } from './lower-values.ts';
import type { NodeReader } from './node-reader.ts';

/** A schedule of so many steps. Made only where the steps and the denoise can be told. */
function schedule(
  node: NodeReader,
  create: (steps: number, denoise: number) => Sigmas,
  denoise = node.number('denoise'),
): readonly [GraphValue] {
  const steps = node.number('steps');
  return [steps === undefined || denoise === undefined ? BROKEN : create(steps, denoise)];
}

/** Cuts its schedule out of a longer one: all its steps are run. */
const basicScheduler: Handler = (node) => {
  const name = node.text('scheduler');
  return schedule(node, (steps, denoise) => createSigmas(name, steps, denoise));
};

const fixedScheduler =
  (name: string): Handler =>
  (node) =>
    schedule(node, (steps, denoise) => createSigmas(name, steps, denoise), 1);

/** Its steps are those of the whole schedule, of which a denoise below 1 runs the last part. */
const cutScheduler =
  (name: string): Handler =>
  (node) =>
    schedule(node, (steps, denoise) => createCutSigmas(name, steps, denoise));

const turboScheduler: Handler = (node) => schedule(node, createTurboSigmas);

const manualSigmas: Handler = (node) => {
  const text = node.text('sigmas');
  return [text === undefined ? BROKEN : parseSigmas(text)];
};

/** @param input the number that says where */
const split =
  (input: string, apply: (sigmas: Sigmas, value: number) => readonly [Sigmas, Sigmas]): Handler =>
  (node) => {
    const [sigmas, value] = [node.value('sigmas', 'sigmas'), node.number(input)];
    return sigmas && value !== undefined ? apply(sigmas, value) : [BROKEN, BROKEN];
  };

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

/** Its negative may be missing, or go through a model of its own: a service has one model for both. */
const cfgGuider: Handler = (node) => [
  {
    kind: 'guider',
    checkpoint: node.checkpoint('model'),
    positive: node.conditioning('positive'),
    negative: node.has('negative') ? node.conditioning('negative').text : '',
    cfg: node.number('cfg'),
  },
];

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
  ['SamplerSEEDS2', 'seeds_2'],
  ['SamplerLCM', 'lcm'],
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
  ['DualModelGuider', cfgGuider],
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
  ['Flux2Scheduler', fixedScheduler('flux2')],
  ['Ideogram4Scheduler', fixedScheduler('ideogram4')],
  ['ManualSigmas', manualSigmas],
  ['SplitSigmas', split('step', splitSigmas)],
  ['SplitSigmasDenoise', split('denoise', splitSigmasByDenoise)],
  ['FlipSigmas', refuseSigmas],
  ['SetFirstSigma', refuseSigmas],
  ['ExtendIntermediateSigmas', refuseSigmas],
];
