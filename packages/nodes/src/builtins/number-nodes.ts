import { roundHalfEven } from '../image/scale-image.ts';
import type { NodeDefinition, NodeInputs } from '../node-definition.ts';
import { NodeError } from '../node-error.ts';
import { readImage, readNumber, readText } from '../read-input.ts';
import { declareNode } from './declare-node.ts';
import { evaluateExpression } from './math-expression.ts';

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
