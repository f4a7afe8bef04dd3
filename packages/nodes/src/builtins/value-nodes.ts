import { stringifyJson } from '@tiercel/contracts';
import { describeValue, isPicture } from '../describe-value.ts';
import type { NodeDefinition } from '../node-definition.ts';
import { readInteger } from '../read-input.ts';

const primitiveInt: NodeDefinition = {
  class_type: 'PrimitiveInt',
  display_name: 'Int',
  category: 'utils/primitive',
  python_module: 'comfy_extras.nodes_primitive',
  info: { deprecated: false, experimental: false, api_node: false },
  input: {
    required: {
      value: [
        'INT',
        { min: -9223372036854775807n, max: 9223372036854775807n, control_after_generate: true },
      ],
    },
  },
  output: ['INT'],
  run: (inputs) => Promise.resolve({ outputs: [readInteger(inputs, 'value')] }),
};

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

export const valueNodes: readonly NodeDefinition[] = [primitiveInt, previewAny];
