import { BROKEN, type Conditioning, type GraphValue } from './graph-value.ts';
import type { Handler } from './lower-values.ts';
import type { NodeReader } from './node-reader.ts';
import { MAX_JOINED_CHARS } from './text-budget.ts';

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

/** Several encoders mostly get the same text, or one gets a summary: what adds nothing is left out. */
function readTexts(node: NodeReader, inputs: readonly string[]): Conditioning {
  const texts: string[] = [];
  for (const input of inputs) {
    const text = takeEmbeddings(node, node.text(input) ?? '').trim();
    if (text === '' || texts.some((known) => known.includes(text))) continue;
    texts.push(text);
  }
  return { kind: 'conditioning', text: texts.join(', '), guidance: undefined };
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

const weighPrompt: Handler = (node) => {
  if (node.number('strength') !== 1) {
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
  ['FluxGuidance', setGuidance],
  ['FluxDisableGuidance', dropGuidance],
  ['ConditioningCombine', join('conditioning_1', 'conditioning_2')],
  ['ConditioningConcat', join('conditioning_to', 'conditioning_from')],
  ['ConditioningAverage', average],
  ['ConditioningZeroOut', zeroOut],
  ['ConditioningSetTimestepRange', limitToSteps],
  ['ConditioningSetArea', limitToArea('conditioning')],
  ['ConditioningSetAreaPercentage', limitToArea('conditioning')],
  ['ConditioningSetAreaStrength', weighPrompt],
  ['ConditioningSetMask', limitToArea('conditioning')],
  ['GLIGENTextBoxApply', limitToArea('conditioning_to')],
  ['ControlNetApply', applyControlNet('conditioning')],
  ['ControlNetApplyAdvanced', applyControlNet('positive', 'negative')],
  ['ControlNetApplySD3', applyControlNet('positive', 'negative')],
  ['ControlNetInpaintingAliMamaApply', applyControlNet('positive', 'negative')],
  ['StyleModelApply', apply(['conditioning'], 'clip_vision', 'takes its style from a picture')],
  ['unCLIPConditioning', apply(['conditioning'], 'clip_vision', 'is prompted by a picture')],
];
