import { stringifyJson } from '@tiercel/contracts';
import { describeValue, isPicture } from '../describe-value.ts';
import type { NodeDefinition } from '../node-definition.ts';
import { declareNode } from './declare-node.ts';

const passValue: NodeDefinition['run'] = (inputs) => Promise.resolve({ outputs: [inputs.value] });

const previewAny: NodeDefinition = {
  class_type: 'PreviewAny',
  display_name: 'Preview Any',
  category: 'utils',
  python_module: 'comfy_extras.nodes_preview_any',
  output_node: true,
  input: { required: { source: ['*', {}] } },
  output: [],
  run: (inputs) => Promise.resolve({ outputs: [], ui: { text: [toPythonText(inputs.source)] } }),
};

/** A value as Python's str() prints it. */
function toPythonText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (value === undefined || value === null) return 'None';
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
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
