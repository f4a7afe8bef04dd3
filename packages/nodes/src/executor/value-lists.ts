import {
  type NodeDefinition,
  NodeError,
  type NodeInputs,
  type NodeResult,
} from '../node-definition.ts';
import { ValueList } from '../values.ts';
import type { RunnableNode } from './runnable-nodes.ts';

/** What a link carries: the values of a list, or one. */
export function listValues(value: unknown): readonly unknown[] {
  return value instanceof ValueList ? value.values : [value];
}

/**
 * The inputs of each call of a node: one call, or as many as the longest list among them has values. A shorter
 * list repeats its last value, as in ComfyUI. A node that takes lists is called once, each input an array.
 * @throws NodeError IndexError when a list is empty
 */
export function splitCalls(
  inputs: NodeInputs,
  { is_input_list: takesLists = false }: NodeDefinition,
): readonly NodeInputs[] {
  const lists = Object.entries(inputs).map(([name, value]) => [name, listValues(value)] as const);
  if (takesLists) return [Object.fromEntries(lists)];
  if (!Object.values(inputs).some((value) => value instanceof ValueList)) return [inputs];
  const count = Math.max(...lists.map(([, values]) => values.length));
  const empty = lists.find(([, values]) => values.length === 0);
  if (empty) {
    throw new NodeError(`The list that input "${empty[0]}" is linked to is empty.`, {
      exceptionType: 'IndexError',
    });
  }
  return Array.from({ length: count }, (_, call) =>
    Object.fromEntries(lists.map(([name, values]) => [name, values[call] ?? values.at(-1)])),
  );
}

/**
 * What the calls of a node give together: of several, each output is a list; what they show is joined.
 * @throws NodeError when an output that is declared a list is none
 */
export function joinResults(
  results: readonly NodeResult[],
  { classType, definition }: RunnableNode,
): NodeResult {
  const { output_is_list: isList = [] } = definition;
  const [first] = results;
  if (first === undefined) return { outputs: [] };
  if (results.length === 1 && !isList.includes(true)) return first;
  const outputs = first.outputs.map((_, slot) => {
    const values = results.map((result) => result.outputs[slot]);
    if (isList[slot] !== true) return values.length === 1 ? values[0] : new ValueList(values);
    return new ValueList(
      values.flatMap((value) => {
        if (Array.isArray(value)) return value as unknown[];
        throw new NodeError(`${classType} must give an array for its output ${slot}.`, {
          exceptionType: 'TypeError',
        });
      }),
    );
  });
  return { outputs, ui: joinShown(results) };
}

function joinShown(results: readonly NodeResult[]): NodeResult['ui'] {
  const shown = results.flatMap(({ ui }) => (ui ? [ui] : []));
  const names = new Set(shown.flatMap((ui) => Object.keys(ui)));
  if (names.size === 0) return undefined;
  const joined = [...names].map((name) => [name, shown.flatMap((ui) => ui[name] ?? [])] as const);
  return Object.fromEntries(joined);
}
