import { summariseSigmas } from '@tiercel/graph';
import { embeddedModels } from '../embedded-models.ts';
import type { NodeContext, NodeDefinition, NodeInputs } from '../node-definition.ts';
import {
  readBoolean,
  readConditioning,
  readGuider,
  readInteger,
  readLatent,
  readModel,
  readNoise,
  readNumber,
  readSampler,
  readSigmas,
  readText,
} from '../read-input.ts';
import { sampleSketch } from '../sketch/sample.ts';
import type { Conditioning, Latent, ModelHandle } from '../values.ts';
import { declareNode } from './declare-node.ts';

const MAX_SEED = 0xffff_ffff_ffff_ffffn;
const SAMPLERS = [
  'euler',
  'euler_cfg_pp',
  'euler_ancestral',
  'euler_ancestral_cfg_pp',
  'heun',
  'heunpp2',
  'dpm_2',
  'dpm_2_ancestral',
  'lms',
  'dpm_fast',
  'dpm_adaptive',
  'dpmpp_2s_ancestral',
  'dpmpp_2s_ancestral_cfg_pp',
  'dpmpp_sde',
  'dpmpp_sde_gpu',
  'dpmpp_2m',
  'dpmpp_2m_cfg_pp',
  'dpmpp_2m_sde',
  'dpmpp_2m_sde_gpu',
  'dpmpp_2m_sde_heun',
  'dpmpp_2m_sde_heun_gpu',
  'dpmpp_3m_sde',
  'dpmpp_3m_sde_gpu',
  'ddpm',
  'lcm',
  'ipndm',
  'ipndm_v',
  'deis',
  'res_multistep',
  'res_multistep_cfg_pp',
  'res_multistep_ancestral',
  'res_multistep_ancestral_cfg_pp',
  'gradient_estimation',
  'gradient_estimation_cfg_pp',
  'er_sde',
  'seeds_2',
  'seeds_3',
  'sa_solver',
  'sa_solver_pece',
  'ddim',
  'uni_pc',
  'uni_pc_bh2',
];
const SCHEDULERS = [
  'simple',
  'sgm_uniform',
  'karras',
  'exponential',
  'ddim_uniform',
  'beta',
  'normal',
  'linear_quadratic',
  'kl_optimal',
];

const checkpointLoaderSimple: NodeDefinition = {
  class_type: 'CheckpointLoaderSimple',
  display_name: 'Load Checkpoint',
  category: 'loaders',
  input: { required: { ckpt_name: [embeddedModels.checkpoints ?? [], {}] } },
  output: ['MODEL', 'CLIP', 'VAE'],
  run(inputs) {
    const checkpoint = readText(inputs, 'ckpt_name');
    const outputs: ModelHandle[] = [
      { kind: 'model', checkpoint },
      { kind: 'clip', checkpoint },
      { kind: 'vae', checkpoint },
    ];
    return Promise.resolve({ outputs });
  },
};

const clipTextEncode: NodeDefinition = {
  class_type: 'CLIPTextEncode',
  display_name: 'CLIP Text Encode (Prompt)',
  category: 'conditioning',
  input: {
    required: { text: ['STRING', { multiline: true, dynamicPrompts: true }], clip: ['CLIP', {}] },
  },
  output: ['CONDITIONING'],
  run(inputs) {
    const conditioning: Conditioning = { kind: 'conditioning', text: readText(inputs, 'text') };
    return Promise.resolve({ outputs: [conditioning] });
  },
};

const kSampler: NodeDefinition = {
  class_type: 'KSampler',
  category: 'sampling',
  description:
    'Uses the provided model, positive and negative conditioning to denoise the latent image.',
  info: { output_tooltips: ['The denoised latent.'] },
  input: {
    required: {
      model: ['MODEL', { tooltip: 'The model used for denoising the input latent.' }],
      seed: [
        'INT',
        {
          default: 0,
          min: 0,
          max: MAX_SEED,
          control_after_generate: true,
          tooltip: 'The random seed used for creating the noise.',
        },
      ],
      steps: [
        'INT',
        {
          default: 20,
          min: 1,
          max: 10000,
          tooltip: 'The number of steps used in the denoising process.',
        },
      ],
      cfg: [
        'FLOAT',
        {
          default: 8,
          min: 0,
          max: 100,
          step: 0.1,
          round: 0.01,
          tooltip:
            'The Classifier-Free Guidance scale balances creativity and adherence to the prompt. Higher values result in images more closely matching the prompt however too high values will negatively impact quality.',
        },
      ],
      sampler_name: [
        SAMPLERS,
        {
          tooltip:
            'The algorithm used when sampling, this can affect the quality, speed, and style of the generated output.',
        },
      ],
      scheduler: [
        SCHEDULERS,
        { tooltip: 'The scheduler controls how noise is gradually removed to form the image.' },
      ],
      positive: [
        'CONDITIONING',
        { tooltip: 'The conditioning describing the attributes you want to include in the image.' },
      ],
      negative: [
        'CONDITIONING',
        {
          tooltip: 'The conditioning describing the attributes you want to exclude from the image.',
        },
      ],
      latent_image: ['LATENT', { tooltip: 'The latent image to denoise.' }],
      denoise: [
        'FLOAT',
        {
          default: 1,
          min: 0,
          max: 1,
          step: 0.01,
          tooltip:
            'The amount of denoising applied, lower values will maintain the structure of the initial image allowing for image to image sampling.',
        },
      ],
    },
  },
  output: ['LATENT'],
  async run(inputs, context) {
    const painting = {
      ...readPrompts(inputs),
      ...readMethod(inputs),
      seed: readInteger(inputs, 'seed'),
      steps: readNumber(inputs, 'steps'),
      denoise: readNumber(inputs, 'denoise'),
    };
    return { outputs: [await paint(inputs, painting, context)] };
  },
};

/** `steps` are those of the whole schedule, of which this runs `start_at_step` to `end_at_step`. */
const kSamplerAdvanced = declareNode('KSamplerAdvanced', async (inputs, context) => {
  const total = readNumber(inputs, 'steps');
  const start = readNumber(inputs, 'start_at_step');
  const painting = {
    ...readPrompts(inputs),
    ...readMethod(inputs),
    seed: readText(inputs, 'add_noise') === 'disable' ? 0 : readInteger(inputs, 'noise_seed'),
    steps: Math.max(0, Math.min(readNumber(inputs, 'end_at_step'), total) - start),
    denoise: total > 0 ? Math.max(0, (total - start) / total) : 0,
  };
  return { outputs: [await paint(inputs, painting, context)] };
});

const samplerCustom = declareNode('SamplerCustom', async (inputs, context) => {
  const painting = {
    ...readPrompts(inputs),
    ...readSchedule(inputs),
    seed: readBoolean(inputs, 'add_noise') ? readInteger(inputs, 'noise_seed') : 0,
  };
  const latent = await paint(inputs, painting, context);
  return { outputs: [latent, latent] };
});

const samplerCustomAdvanced = declareNode('SamplerCustomAdvanced', async (inputs, context) => {
  const { checkpoint, prompt, negative, cfg } = readGuider(inputs, 'guider');
  const painting = {
    ...{ checkpoint, prompt, negative, cfg },
    ...readSchedule(inputs),
    seed: readNoise(inputs, 'noise').seed ?? 0,
  };
  const latent = await paint(inputs, painting, context);
  return { outputs: [latent, latent] };
});

/** What a sampler of any class comes to. */
interface Painting {
  readonly checkpoint: string;
  readonly prompt: string;
  readonly negative: string;
  readonly cfg: number;
  /** Names of the sampler and the schedule. */
  readonly method: string;
  readonly seed: number | bigint;
  /** That are run. */
  readonly steps: number;
  /** How much of the latent below is covered. */
  readonly denoise: number;
}

function readPrompts(inputs: NodeInputs) {
  return {
    checkpoint: readModel(inputs, 'model').checkpoint,
    prompt: readConditioning(inputs, 'positive').text,
    negative: readConditioning(inputs, 'negative').text,
    cfg: readNumber(inputs, 'cfg'),
  };
}

function readMethod(inputs: NodeInputs) {
  return { method: `${readText(inputs, 'sampler_name')} ${readText(inputs, 'scheduler')}` };
}

function readSchedule(inputs: NodeInputs) {
  const { scheduler = '', steps, denoise } = summariseSigmas(readSigmas(inputs, 'sigmas'));
  return { method: `${readSampler(inputs, 'sampler').name} ${scheduler}`, steps, denoise };
}

function paint(inputs: NodeInputs, painting: Painting, context: NodeContext): Promise<Latent> {
  const { checkpoint, method, denoise, ...recipe } = painting;
  const latent = readLatent(inputs, 'latent_image');
  if (recipe.steps <= 0) return Promise.resolve(latent);
  const style = `${checkpoint} ${method}`;
  return sampleSketch(latent, { recipe: { ...recipe, style }, denoise, context });
}

export const samplerNodes: readonly NodeDefinition[] = [
  checkpointLoaderSimple,
  clipTextEncode,
  kSampler,
  kSamplerAdvanced,
  samplerCustom,
  samplerCustomAdvanced,
];
