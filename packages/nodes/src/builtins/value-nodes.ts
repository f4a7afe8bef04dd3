import { isLink, parseJson, pythonFloat, sliceMembers, stringifyJson } from '@tiercel/contracts';
import { describeValue, isPicture } from '../describe-value.ts';
import type { NodeContext, NodeDefinition } from '../node-definition.ts';
import { declareNode, findClass } from './declare-node.ts';

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
