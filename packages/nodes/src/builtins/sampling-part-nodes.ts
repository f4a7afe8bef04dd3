import {
  createCutSigmas,
  createSigmas,
  createTurboSigmas,
  parseSigmas,
  splitSigmas,
  splitSigmasByDenoise,
  type Sigmas,
} from '@tiercel/graph';
import type { NodeDefinition, NodeInputs } from '../node-definition.ts';
import {
  readConditioning,
  readInteger,
  readModel,
  readNumber,
  readSigmas,
  readText,
} from '../read-input.ts';
import type { Guider, NoiseHandle, SamplerHandle } from '../values.ts';
import { declareNode } from './declare-node.ts';

/** The parts that SamplerCustom and SamplerCustomAdvanced are put together from. */

function createNode(
  classType: string,
  make: (inputs: NodeInputs) => readonly unknown[],
): NodeDefinition {
  return declareNode(classType, (inputs) => Promise.resolve({ outputs: make(inputs) }));
}

const SAMPLER_CLASSES = [
  ...['SamplerEulerAncestral', 'SamplerEulerAncestralCFGPP', 'SamplerEulerCFGpp', 'SamplerLMS'],
  ...['SamplerDPMPP_3M_SDE', 'SamplerDPMPP_2M_SDE', 'SamplerDPMPP_SDE', 'SamplerDPMAdaptative'],
  ...['SamplerDPMPP_2S_Ancestral', 'SamplerER_SDE', 'SamplerSASolver', 'SamplerSEEDS2'],
  ...['SamplerLCM', 'SamplerLCMUpscale'],
];

const samplers: readonly NodeDefinition[] = [
  createNode('KSamplerSelect', (inputs) => [
    { kind: 'sampler', name: readText(inputs, 'sampler_name') } satisfies SamplerHandle,
  ]),
  ...SAMPLER_CLASSES.map((classType) =>
    createNode(classType, () => [{ kind: 'sampler', name: classType } satisfies SamplerHandle]),
  ),
];

/** Schedules that take only a number of steps. */
const FIXED_SCHEDULERS = [
  ...['KarrasScheduler', 'ExponentialScheduler', 'PolyexponentialScheduler', 'LaplaceScheduler'],
  ...['VPScheduler', 'BetaSamplingScheduler', 'Flux2Scheduler', 'Ideogram4Scheduler'],
];

/** Their steps are those of a whole schedule, of which a denoise below 1 runs the last part. */
const CUT_SCHEDULERS = ['AlignYourStepsScheduler', 'GITSScheduler', 'OptimalStepsScheduler'];

/** Schedules changed by hand: how many steps there are stays the same. */
const SIGMA_CHANGES = ['FlipSigmas', 'SetFirstSigma'];

const schedules: readonly NodeDefinition[] = [
  createNode('BasicScheduler', (inputs) => [
    createSigmas(readText(inputs, 'scheduler'), ...readSteps(inputs)),
  ]),
  // Without a model, noise falls evenly from 1 to 0.
  createNode('SamplingPercentToSigma', (inputs) => [1 - readNumber(inputs, 'sampling_percent')]),
  createNode('SDTurboScheduler', (inputs) => [createTurboSigmas(...readSteps(inputs))]),
  createNode('ManualSigmas', (inputs) => [parseSigmas(readText(inputs, 'sigmas'))]),
  ...FIXED_SCHEDULERS.map((name) =>
    createNode(name, (inputs) => [createSigmas(name, readNumber(inputs, 'steps'), 1)]),
  ),
  ...CUT_SCHEDULERS.map((name) =>
    createNode(name, (inputs) => [createCutSigmas(name, ...readSteps(inputs))]),
  ),
  ...SIGMA_CHANGES.map((name) => createNode(name, (inputs) => [readSigmas(inputs, 'sigmas')])),
  createNode('ExtendIntermediateSigmas', (inputs) => {
    const sigmas = readSigmas(inputs, 'sigmas');
    return [stretch(sigmas, readNumber(inputs, 'steps'))];
  }),
  createNode('SplitSigmas', (inputs) =>
    splitSigmas(readSigmas(inputs, 'sigmas'), readNumber(inputs, 'step')),
  ),
  createNode('SplitSigmasDenoise', (inputs) =>
    splitSigmasByDenoise(readSigmas(inputs, 'sigmas'), readNumber(inputs, 'denoise')),
  ),
];

function readSteps(inputs: NodeInputs): [steps: number, denoise: number] {
  return [readNumber(inputs, 'steps'), readNumber(inputs, 'denoise')];
}

/** So many steps in place of each. */
function stretch(sigmas: Sigmas, times: number): Sigmas {
  const { steps, from, to } = sigmas;
  return { ...sigmas, steps: steps * times, from: from * times, to: to * times };
}

const noises: readonly NodeDefinition[] = [
  createNode('RandomNoise', (inputs) => [
    { kind: 'noise', seed: readInteger(inputs, 'noise_seed') } satisfies NoiseHandle,
  ]),
  createNode('DisableNoise', () => [{ kind: 'noise', seed: undefined } satisfies NoiseHandle]),
];

/** @param names the inputs: prompts that are joined, the negative (if any), the strength (if any) */
function createGuider(
  classType: string,
  names: { positive: readonly string[]; negative?: string; cfg?: string },
): NodeDefinition {
  const { positive, negative, cfg } = names;
  return createNode(classType, (inputs) => {
    const hasNegative = negative !== undefined && inputs[negative] !== undefined;
    const guider: Guider = {
      kind: 'guider',
      checkpoint: readModel(inputs, 'model').checkpoint,
      prompt: positive.map((name) => readConditioning(inputs, name).text).join(', '),
      negative: hasNegative ? readConditioning(inputs, negative).text : '',
      cfg: cfg === undefined ? 1 : readNumber(inputs, cfg),
    };
    return [guider];
  });
}

const guiders: readonly NodeDefinition[] = [
  createGuider('BasicGuider', { positive: ['conditioning'] }),
  createGuider('CFGGuider', { positive: ['positive'], negative: 'negative', cfg: 'cfg' }),
  createGuider('DualModelGuider', { positive: ['positive'], negative: 'negative', cfg: 'cfg' }),
  createGuider('PerpNegGuider', { positive: ['positive'], negative: 'negative', cfg: 'cfg' }),
  createGuider('DualCFGGuider', {
    ...{ positive: ['cond1', 'cond2'], negative: 'negative', cfg: 'cfg_conds' },
  }),
];

export const samplingPartNodes: readonly NodeDefinition[] = [
  ...samplers,
  ...schedules,
  ...noises,
  ...guiders,
];
