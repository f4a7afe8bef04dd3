import { joinTexts, MAX_JOINED_CHARS } from './prompt-texts.ts';
import { BROKEN, type Conditioning, type GraphValue } from './graph-value.ts';
import type { Handler } from './lower-values.ts';
import type { NodeReader } from './node-reader.ts';

/** A textual inversion within a prompt, perhaps with a weight around it. One bracket a side keeps this linear. */
const EMBEDDING = /\(?(?<!\w)embedding:([^\s,()]+)\)?/g;

/** An encoder's texts in the order of their weight in the picture. */
function encode(...inputs: readonly string[]): Handler {
  return (node) => [readTexts(node, inputs)];
}

const encodeFlux: Handler = (node) => {
  const { text } = readTexts(node, ['t5xxl', 'clip_l']);
  return [{ kind: 'conditioning', text, guidance: node.number('guidance') }];
};

function readTexts(node: NodeReader, inputs: readonly string[]): Conditioning {
  const texts = inputs.map((input) => takeEmbeddings(node, node.text(input) ?? ''));
  return { kind: 'conditioning', text: joinTexts(texts), guidance: undefined };
}

/** The text without its embeddings, each an obstacle. */
function takeEmbeddings(node: NodeReader, text: string): string {
  if (!node.texts.spend(text.length)) {
    node.object('shape', 'has more text than can be looked at');
    return '';
  }
  const [first] = text.matchAll(EMBEDDING);
  if (first === undefined) return text;
  const name = (first[1] ?? '').slice(0, 100);
  node.object('embedding', `uses the embedding "${name}", which image services do not have`);
  const kept = text.split(',').map((part) => part.replace(EMBEDDING, '').trim());
  return kept.filter((part) => part !== '').join(', ');
}

/** @param pictures inputs, or groups of them, that prompt beside the text */
function encodeWithPictures(text: string, pictures: readonly string[]): Handler {
  return (node) => {
    noteReference(node, pictures);
    return [readTexts(node, [text])];
  };
}

/** A positive and a negative prompt at once, and pictures that prompt beside them. */
export function encodePair(node: NodeReader): readonly [Conditioning, Conditioning] {
  noteReference(node, ['images']);
  return [readTexts(node, ['prompt']), readTexts(node, ['negative_prompt'])];
}

function noteReference(node: NodeReader, pictures: readonly string[]): void {
  if (!pictures.some((input) => node.has(input) || node.hasMember(input))) return;
  node.object('clip_vision', 'is prompted by a picture, which image services cannot');
}

/** Hands on its conditionings; the pictures prompt beside them. */
function refer(inputs: readonly string[], pictures: readonly string[]): Handler {
  return (node) => {
    noteReference(node, pictures);
    return inputs.map((input) => node.conditioning(input));
  };
}

/** Made by nothing in the graph that a service could be told. */
const fixedPrompt: Handler = (node) => {
  node.object('shape', 'has a prompt that is no text, which image services cannot');
  return [{ kind: 'conditioning', text: '', guidance: undefined }];
};

const LIMITS = ['mask', 'hooks', 'timesteps'];

/** Weighs its prompts, or limits them to a part of the picture, of the steps, or of the model. */
function setProperties(...inputs: readonly string[]): Handler {
  return (node) => {
    noteLimits(node);
    return inputs.map((input) => node.conditioning(input));
  };
}

/** The same, beside prompts that are there already. */
function setAndCombine(...pairs: readonly (readonly [first: string, second: string])[]): Handler {
  return (node) => {
    noteLimits(node);
    return pairs.map(([first, second]) =>
      joinConditionings(node, node.conditioning(first), node.conditioning(second)),
    );
  };
}

function noteLimits(node: NodeReader): void {
  const isWeighed = node.has('strength') && node.number('strength') !== 1;
  if (!isWeighed && !LIMITS.some((input) => node.has(input))) return;
  node.object('area', 'limits or weighs its prompt, which image services cannot');
}

/** Two prompts as one. */
function join(first: string, second: string): Handler {
  return (node) => [joinConditionings(node, node.conditioning(first), node.conditioning(second))];
}

function joinConditionings(node: NodeReader, a: Conditioning, b: Conditioning): GraphValue {
  const guidance = a.guidance ?? b.guidance;
  if (a.text === '' || b.text === '') return { ...a, text: a.text || b.text, guidance };
  if (a.text.length + b.text.length > MAX_JOINED_CHARS) {
    node.object('shape', 'joins more text than image services take');
    return BROKEN;
  }
  return { kind: 'conditioning', text: `${a.text}, ${b.text}`, guidance };
}

const average: Handler = (node) => {
  const strength = node.number('conditioning_to_strength');
  const [to, from] = [node.conditioning('conditioning_to'), node.conditioning('conditioning_from')];
  if (strength === 0) return [from];
  if (strength !== 1 && to.text !== from.text) {
    node.object('shape', 'blends two prompts, which image services cannot');
  }
  return [to];
};

const zeroOut: Handler = (node) => [{ ...node.conditioning('conditioning'), text: '' }];

const setGuidance: Handler = (node) => [
  { ...node.conditioning('conditioning'), guidance: node.number('guidance') },
];

const dropGuidance: Handler = (node) => [
  { ...node.conditioning('conditioning'), guidance: undefined },
];

const limitToArea =
  (input: string): Handler =>
  (node) => {
    node.object('area', 'limits its prompt to a part of the picture, which image services cannot');
    return [node.conditioning(input)];
  };

const weighPrompt =
  (weight: string): Handler =>
  (node) => {
    if (node.number(weight) !== 1) {
      node.object('area', 'weighs its prompt against others, which image services cannot');
    }
    return [node.conditioning('conditioning')];
  };

const limitToSteps: Handler = (node) => {
  if (node.number('start') !== 0 || node.number('end') !== 1) {
    node.object('area', 'limits its prompt to some of the steps, which image services cannot');
  }
  return [node.conditioning('conditioning')];
};

/** Hands on its conditionings; without strength it changes nothing. */
function apply(
  inputs: readonly string[],
  kind: 'controlnet' | 'clip_vision',
  what: string,
): Handler {
  return (node) => {
    if (node.number('strength') !== 0) node.object(kind, `${what}, which image services cannot`);
    return inputs.map((input) => node.conditioning(input));
  };
}

const applyControlNet = (...inputs: readonly string[]) =>
  apply(inputs, 'controlnet', 'applies a ControlNet');

/** Nodes that make and change prompts. */
export const conditioningHandlers: readonly (readonly [string, Handler])[] = [
  ['CLIPTextEncode', encode('text')],
  ['CLIPTextEncodeSDXL', encode('text_g', 'text_l')],
  ['CLIPTextEncodeSDXLRefiner', encode('text')],
  ['CLIPTextEncodeSD3', encode('t5xxl', 'clip_g', 'clip_l')],
  ['CLIPTextEncodeFlux', encodeFlux],
  ['CLIPTextEncodeHunyuanDiT', encode('mt5xl', 'bert')],
  ['CLIPTextEncodeHiDream', encode('llama', 't5xxl', 'clip_g', 'clip_l')],
  ['CLIPTextEncodeLumina2', encode('user_prompt')],
  ['CLIPTextEncodePixArtAlpha', encode('text')],
  ['CLIPTextEncodeControlnet', (node) => [node.conditioning('conditioning')]],
  ['CLIPTextEncodeKandinsky5', encode('qwen25_7b', 'clip_l')],
  ['PhotoMakerEncode', encodeWithPictures('text', ['image'])],
  ['TextEncodeQwenImageEdit', encodeWithPictures('prompt', ['image'])],
  ['TextEncodeQwenImageEditPlus', encodeWithPictures('prompt', ['image1', 'image2', 'image3'])],
  ['TextEncodeZImageOmni', encodeWithPictures('prompt', ['image1', 'image2', 'image3'])],
  ['TextEncodeJoyImageEdit', encodeWithPictures('prompt', ['images'])],
  ['TextEncodeBooguEdit', encodePair],
  ['ReferenceLatent', refer(['conditioning'], ['latent'])],
  ['HiDreamO1ReferenceImages', refer(['positive', 'negative'], ['images'])],
  ['PiDConditioning', refer(['positive'], ['latent'])],
  ['StableCascade_StageB_Conditioning', refer(['conditioning'], ['stage_c'])],
  ['FluxKontextMultiReferenceLatentMethod', refer(['conditioning'], [])],
  ['LotusConditioning', fixedPrompt],
  ['FluxGuidance', setGuidance],
  ['FluxDisableGuidance', dropGuidance],
  ['ConditioningCombine', join('conditioning_1', 'conditioning_2')],
  ['ConditioningConcat', join('conditioning_to', 'conditioning_from')],
  ['ConditioningAverage', average],
  ['ConditioningZeroOut', zeroOut],
  ['ConditioningSetTimestepRange', limitToSteps],
  ['ConditioningSetArea', limitToArea('conditioning')],
  ['ConditioningSetAreaPercentage', limitToArea('conditioning')],
  ['ConditioningSetAreaStrength', weighPrompt('strength')],
  ['ConditioningSetMask', limitToArea('conditioning')],
  ['ConditioningMultiply', weighPrompt('multiplier')],
  ['ConditioningSetProperties', setProperties('cond_NEW')],
  ['PairConditioningSetProperties', setProperties('positive_NEW', 'negative_NEW')],
  ['ConditioningSetPropertiesAndCombine', setAndCombine(['cond', 'cond_NEW'])],
  [
    'PairConditioningSetPropertiesAndCombine',
    setAndCombine(['positive', 'positive_NEW'], ['negative', 'negative_NEW']),
  ],
  ['ConditioningSetDefaultCombine', setAndCombine(['cond', 'cond_DEFAULT'])],
  [
    'PairConditioningSetDefaultCombine',
    setAndCombine(['positive', 'positive_DEFAULT'], ['negative', 'negative_DEFAULT']),
  ],
  [
    'PairConditioningCombine',
    setAndCombine(['positive_A', 'positive_B'], ['negative_A', 'negative_B']),
  ],
  ['GLIGENTextBoxApply', limitToArea('conditioning_to')],
  ['ControlNetApply', applyControlNet('conditioning')],
  ['ControlNetApplyAdvanced', applyControlNet('positive', 'negative')],
  ['ControlNetApplySD3', applyControlNet('positive', 'negative')],
  ['ControlNetInpaintingAliMamaApply', applyControlNet('positive', 'negative')],
  ['StyleModelApply', apply(['conditioning'], 'clip_vision', 'takes its style from a picture')],
  ['unCLIPConditioning', apply(['conditioning'], 'clip_vision', 'is prompted by a picture')],
];
