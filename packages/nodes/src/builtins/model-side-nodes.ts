import { imageClasses, inputSpecs, joinTexts, modelInputs } from '@tiercel/graph';
import type { NodeInfo } from '@tiercel/contracts';
import { type NodeDefinition, NodeError, type NodeInputs } from '../node-definition.ts';
import { readConditioning, readModel, readText } from '../read-input.ts';
import type { AidHandle, Conditioning, ModelHandle } from '../values.ts';
import { declareNode } from './declare-node.ts';

/**
 * Nodes that only a model could make something of: loaders, encoders, patches, ControlNets. The sketch
 * generator draws what the prompt says, so these keep the texts and the names of files and hand on the rest.
 */

/** Types that only a model can make something of; what makes nothing else is such a node. */
const MODEL_TYPES: ReadonlySet<string> = new Set([
  ...['MODEL', 'CLIP', 'VAE', 'CONDITIONING', 'CONTROL_NET', 'CLIP_VISION', 'CLIP_VISION_OUTPUT'],
  ...[
    'STYLE_MODEL',
    'GLIGEN',
    'UPSCALE_MODEL',
    'LATENT_UPSCALE_MODEL',
    'MODEL_PATCH',
    'PHOTOMAKER',
  ],
  ...['HOOKS', 'HOOK_KEYFRAMES', 'TIMESTEPS_RANGE', 'LATENT_OPERATION'],
]);

/** The same for what only a sampler takes. */
const SAMPLING_TYPES: ReadonlySet<string> = new Set(['GUIDER', 'SIGMAS', 'NOISE', 'SAMPLER']);

/** Whether the node takes or makes what only a model could make something of. */
export function touchesModel({ input, output }: NodeDefinition): boolean {
  const specs = Object.values({ ...input.required, ...input.optional });
  const types = [...output, ...specs.map(([type]) => type)];
  return types.some((type) => isOf(MODEL_TYPES, type) || isOf(SAMPLING_TYPES, type));
}

function isOf(types: ReadonlySet<string>, type: unknown): boolean {
  return typeof type === 'string' && types.has(type);
}

/** Encoders: the inputs with the text of each of their prompts, by their weight in the picture. */
const TEXTS: ReadonlyMap<string, readonly (readonly string[])[]> = new Map([
  ['CLIPTextEncodeSDXL', [['text_g', 'text_l']]],
  ['CLIPTextEncodeSDXLRefiner', [['text']]],
  ['CLIPTextEncodeSD3', [['t5xxl', 'clip_g', 'clip_l']]],
  ['CLIPTextEncodeFlux', [['t5xxl', 'clip_l']]],
  ['CLIPTextEncodeHunyuanDiT', [['mt5xl', 'bert']]],
  ['CLIPTextEncodeHiDream', [['llama', 't5xxl', 'clip_g', 'clip_l']]],
  ['CLIPTextEncodeLumina2', [['user_prompt']]],
  ['CLIPTextEncodePixArtAlpha', [['text']]],
  ['CLIPTextEncodeKandinsky5', [['qwen25_7b', 'clip_l']]],
  ['PhotoMakerEncode', [['text']]],
  ['TextEncodeQwenImageEdit', [['prompt']]],
  ['TextEncodeQwenImageEditPlus', [['prompt']]],
  ['TextEncodeZImageOmni', [['prompt']]],
  ['TextEncodeJoyImageEdit', [['prompt']]],
  ['TextEncodeBooguEdit', [['prompt'], ['negative_prompt']]],
]);

/** Nodes that make one prompt of two, for each of their outputs. */
const JOINED: ReadonlyMap<string, readonly (readonly string[])[]> = new Map([
  ['ConditioningCombine', [['conditioning_1', 'conditioning_2']]],
  ['ConditioningConcat', [['conditioning_to', 'conditioning_from']]],
  ['ConditioningSetPropertiesAndCombine', [['cond', 'cond_NEW']]],
  ['ConditioningSetDefaultCombine', [['cond', 'cond_DEFAULT']]],
  [
    'PairConditioningSetPropertiesAndCombine',
    [
      ['positive', 'positive_NEW'],
      ['negative', 'negative_NEW'],
    ],
  ],
  [
    'PairConditioningSetDefaultCombine',
    [
      ['positive', 'positive_DEFAULT'],
      ['negative', 'negative_DEFAULT'],
    ],
  ],
  [
    'PairConditioningCombine',
    [
      ['positive_A', 'positive_B'],
      ['negative_A', 'negative_B'],
    ],
  ],
]);

/** A prompt that says nothing. */
const ZEROED = 'ConditioningZeroOut';

function createModelSideNode(classType: string, info: NodeInfo): NodeDefinition {
  const types = info.output.filter((type) => typeof type === 'string');
  const places = types.map((type, slot) => types.slice(0, slot).filter((t) => t === type).length);
  const sources = new Map<string, string[]>();
  for (const { name, spec } of inputSpecs(info)) {
    if (typeof spec[0] !== 'string') continue;
    sources.set(spec[0], [...(sources.get(spec[0]) ?? []), name]);
  }
  const files = modelInputs.get(classType)?.map(({ input }) => input) ?? [];
  return declareNode(classType, (inputs) => {
    const outputs = types.map((type, slot) => {
      const place = places[slot] ?? 0;
      if (type === 'CONDITIONING') {
        const text = encodeText(classType, place, inputs);
        if (text !== undefined) return { kind: 'conditioning', text } satisfies Conditioning;
      }
      const handedOn = takeSource(sources.get(type) ?? [], place, inputs);
      return addFiles(handedOn ?? makeHandle(type), files, inputs);
    });
    return Promise.resolve({ outputs });
  });
}

/** Of a prompt that nodes join: a chain of them could otherwise double it until the memory is full. */
const MAX_PROMPT_CHARS = 100_000;
/** Of the names that a model carries. */
const MAX_LABEL_CHARS = 400;

/** The text that a node makes itself; undefined when it hands on a prompt. */
function encodeText(classType: string, place: number, inputs: NodeInputs): string | undefined {
  if (classType === ZEROED) return '';
  const texts = TEXTS.get(classType)?.[place];
  if (texts !== undefined) {
    return joinTexts(
      texts.map((name) => (inputs[name] === undefined ? '' : readText(inputs, name))),
    );
  }
  const joined = JOINED.get(classType)?.[place];
  if (joined === undefined) return undefined;
  const text = joinTexts(joined.map((name) => readConditioning(inputs, name).text));
  if (text.length <= MAX_PROMPT_CHARS) return text;
  throw new NodeError(`The prompt would be longer than ${MAX_PROMPT_CHARS} characters.`, {
    exceptionType: 'ValueError',
  });
}

/** The second of two equal outputs hands on the second of the inputs of its type. */
function takeSource(names: readonly string[], place: number, inputs: NodeInputs): unknown {
  const [first] = names;
  const given = [names[place], first].find(
    (name) => name !== undefined && inputs[name] !== undefined,
  );
  return given === undefined ? undefined : inputs[given];
}

function makeHandle(type: string): ModelHandle | AidHandle | Conditioning {
  switch (type) {
    case 'MODEL':
      return { kind: 'model', checkpoint: '' };
    case 'CLIP':
      return { kind: 'clip', checkpoint: '' };
    case 'VAE':
      return { kind: 'vae', checkpoint: '' };
    case 'CONDITIONING':
      return { kind: 'conditioning', text: '' };
    default:
      return { kind: 'aid', type };
  }
}

/** What is loaded, or applied, leaves its name on the model. */
function addFiles(value: unknown, files: readonly string[], inputs: NodeInputs): unknown {
  const isModel =
    typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'model';
  if (!isModel || files.length === 0) return value;
  const { kind, checkpoint } = readModel({ value }, 'value');
  const names = files.map((name) => readText(inputs, name));
  const label = [checkpoint, ...names].filter((name) => name !== '').join(' ');
  return { kind, checkpoint: label.slice(-MAX_LABEL_CHARS) };
}

/** @param others classes that have a node of their own */
export function createModelSideNodes(others: ReadonlySet<string>): NodeDefinition[] {
  return Object.entries(imageClasses)
    .filter(([name, { output }]) => {
      return !others.has(name) && output.every((type) => isOf(MODEL_TYPES, type));
    })
    .map(([name, info]) => createModelSideNode(name, info));
}
