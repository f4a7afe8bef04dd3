import type { NodeDefinition } from '../node-definition.ts';
import { readBoolean, readInteger, readMembers } from '../read-input.ts';
import { declareNode } from './declare-node.ts';

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
  declareNode('SeedNode', (inputs) => Promise.resolve({ outputs: [readInteger(inputs, 'seed')] })),
];
