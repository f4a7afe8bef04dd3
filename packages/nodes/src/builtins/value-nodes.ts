import { isLink, parseJson, pythonFloat, sliceMembers, stringifyJson } from '@tiercel/contracts';
import { describeValue, isPicture } from '../values.ts';
import { roundHalfEven } from '../image/scale-image.ts';
import {
  type NodeContext,
  type NodeDefinition,
  NodeError,
  type NodeInputs,
} from '../node-definition.ts';
import {
  readBoolean,
  readImage,
  readInteger,
  readMembers,
  readNumber,
  readText,
} from '../read-input.ts';
import { declareNode, findClass } from './declare-node.ts';
import { evaluateExpression } from './math-expression.ts';

const passValue: NodeDefinition['run'] = (inputs) => Promise.resolve({ outputs: [inputs.value] });

const previewAny: NodeDefinition = {
  class_type: 'PreviewAny',
  display_name: 'Preview Any',
  category: 'utils',
  python_module: 'comfy_extras.nodes_preview_any',
  output_node: true,
  input: { required: { source: ['*', {}] } },
  output: ['STRING'],
  // 7 and 7.0 are one value here and two texts.
  fingerprint: (_, context) => isFloatInput('source', context),
  run: ({ source }, context) => {
    const isFloat = typeof source === 'number' && isFloatInput('source', context);
    const text = isFloat ? pythonFloat(source) : toPythonText(source);
    return Promise.resolve({ outputs: [text], ui: { text: [text] } });
  },
};

/** Whether Python has a float where JavaScript's one kind of number does not tell 1.0 from 1. */
function isFloatInput(
  input: string,
  { promptText, nodeId }: Pick<NodeContext, 'promptText' | 'nodeId'>,
): boolean {
  const nodes = sliceMembers(promptText);
  const node = sliceMembers(nodes.get(nodeId) ?? '{}');
  const written = sliceMembers(node.get('inputs') ?? '{}').get(input) ?? 'null';
  const value = parseJson(written);
  if (!isLink(value)) return /[.e]/i.test(written);
  const [from, slot] = value;
  const className = parseJson(sliceMembers(nodes.get(from) ?? '{}').get('class_type') ?? '""');
  return typeof className === 'string' && findClass(className)?.output[slot] === 'FLOAT';
}

/** A value as Python's str() prints it. */
export function toPythonText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (value === undefined || value === null) return 'None';
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'number') {
    return Number.isSafeInteger(value) ? String(value) : pythonFloat(value);
  }
  return isPicture(value) ? String(describeValue(value)) : stringifyJson(value);
}

export const valueNodes: readonly NodeDefinition[] = [
  declareNode('PrimitiveInt', passValue),
  declareNode('PrimitiveFloat', passValue),
  declareNode('PrimitiveString', passValue),
  declareNode('PrimitiveStringMultiline', passValue),
  declareNode('PrimitiveBoolean', passValue),
  previewAny,
];

/** Hands on one of two branches, and only that one is made. */
const switchNode = declareNode(
  'ComfySwitchNode',
  (inputs) => Promise.resolve({ outputs: [inputs[chooseBranch(readBoolean(inputs, 'switch'))]] }),
  { needs: (inputs) => [chooseBranch(readBoolean(inputs, 'switch'))] },
);

function chooseBranch(isOn: boolean): 'on_true' | 'on_false' {
  return isOn ? 'on_true' : 'on_false';
}

/** Its choices are the frontend's own; the place of the chosen one comes along as an undeclared input. */
const customCombo = declareNode(
  'CustomCombo',
  ({ choice, index = 0 }) => Promise.resolve({ outputs: [choice, index] }),
  { takesAllInputs: true },
);

/** Python's truth: empty and zero are false. */
function isTruthy(value: unknown): boolean {
  return Array.isArray(value) ? value.length > 0 : Boolean(value);
}

/** A colour as one number, as text, and how opaque it is. */
const colorToInt = declareNode('ColorToRGBInt', (inputs) => {
  const text = readText(inputs, 'color');
  const digits = /^#?([0-9a-f]{6})([0-9a-f]{2})?$/i.exec(text);
  if (digits === null) {
    throw new NodeError(`Not a colour like #ff8800: ${text}`, { exceptionType: 'ValueError' });
  }
  const [, rgb = '', alpha = 'ff'] = digits;
  const hex = `#${rgb.toLowerCase()}`;
  return Promise.resolve({ outputs: [parseInt(rgb, 16), hex, parseInt(alpha, 16) / 255] });
});

/** Nodes that decide. */
export const logicNodes: readonly NodeDefinition[] = [
  switchNode,
  customCombo,
  declareNode('ComfyNotNode', (inputs) => Promise.resolve({ outputs: [!isTruthy(inputs.value)] })),
  declareNode('ComfyAndNode', (inputs) =>
    Promise.resolve({ outputs: [readMembers(inputs, 'values').every(isTruthy)] }),
  ),
  declareNode('ComfyOrNode', (inputs) =>
    Promise.resolve({ outputs: [readMembers(inputs, 'values').some(isTruthy)] }),
  ),
  colorToInt,
  declareNode('SeedNode', (inputs) => Promise.resolve({ outputs: [readInteger(inputs, 'seed')] })),
];

const GROUP = 'values.';

const mathExpression = declareNode('ComfyMathExpression', (inputs) => {
  const names = new Map<string, number | boolean>();
  for (const [name, value] of Object.entries(inputs)) {
    if (!name.startsWith(GROUP) || value === undefined || value === null) continue;
    names.set(name.slice(GROUP.length), typeof value === 'boolean' ? value : toNumber(value));
  }
  const result = evaluateExpression(readText(inputs, 'expression'), names);
  const value = Number(result);
  return Promise.resolve({ outputs: [value, Math.trunc(value), Boolean(value)] });
});

const numberConvert = declareNode('ComfyNumberConvert', (inputs) => {
  const value = toNumber(inputs.value);
  const whole = typeof inputs.value === 'bigint' ? inputs.value : Math.trunc(value);
  return Promise.resolve({ outputs: [value, whole] });
});

/** A number, also one in a text; a boolean is 1 or 0. @throws NodeError for anything else */
function toNumber(value: unknown): number {
  const isNumeric =
    typeof value === 'number' ||
    typeof value === 'bigint' ||
    typeof value === 'boolean' ||
    (typeof value === 'string' && value.trim() !== '');
  const number = isNumeric ? Number(value) : Number.NaN;
  if (Number.isFinite(number)) return number;
  const shown = typeof value === 'string' ? `'${value.slice(0, 100)}'` : typeof value;
  throw new NodeError(`Cannot convert ${shown} to a number.`, { exceptionType: 'ValueError' });
}

const MEGAPIXEL = 1024 * 1024;

/** The aspect ratio stands at the head of its name: `16:9 (Widescreen)`. */
const resolutionSelector = declareNode('ResolutionSelector', (inputs) => {
  const [across = 1, down = 1] = readText(inputs, 'aspect_ratio').split(/[: ]/).map(Number);
  const multiple = readNumber(inputs, 'multiple');
  const unit = Math.sqrt((readNumber(inputs, 'megapixels') * MEGAPIXEL) / (across * down));
  const fit = (share: number) => roundHalfEven((share * unit) / multiple) * multiple;
  return Promise.resolve({ outputs: [fit(across), fit(down)] });
});

const getImageSize = declareNode('GetImageSize', (inputs: NodeInputs) => {
  const { width, height, frames } = readImage(inputs, 'image');
  const text = `width: ${width}, height: ${height}\n batch size: ${frames.length}`;
  return Promise.resolve({ outputs: [width, height, frames.length], ui: { text: [text] } });
});

/** Nodes that make numbers. */
export const numberNodes: readonly NodeDefinition[] = [
  mathExpression,
  numberConvert,
  resolutionSelector,
  getImageSize,
];
