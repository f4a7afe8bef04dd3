import { convertCase, countCharacters, replaceText, sliceText, trimText } from '@tiercel/graph';
import type { NodeDefinition } from '../node-definition.ts';
import { NodeError } from '../node-error.ts';
import { readNumber, readText } from '../read-input.ts';
import { declareNode } from './declare-node.ts';

/** Of a text that nodes make: a chain of them could otherwise double it until the memory is full. */
const MAX_CHARS = 10_000_000;

/** A text, or what is counted of one. @throws NodeError when it is too long, or undefined for that reason */
export function giveText(value: string | number | undefined) {
  if (value === undefined || (typeof value === 'string' && value.length > MAX_CHARS)) {
    throw new NodeError(`The text would be longer than ${MAX_CHARS} characters.`, {
      exceptionType: 'ValueError',
    });
  }
  return Promise.resolve({ outputs: [value] });
}

export const stringNodes: readonly NodeDefinition[] = [
  declareNode('StringConcatenate', (inputs) =>
    giveText(
      [readText(inputs, 'string_a'), readText(inputs, 'string_b')].join(
        readText(inputs, 'delimiter'),
      ),
    ),
  ),
  declareNode('StringSubstring', (inputs) =>
    giveText(
      sliceText(readText(inputs, 'string'), readNumber(inputs, 'start'), readNumber(inputs, 'end')),
    ),
  ),
  declareNode('StringLength', (inputs) => giveText(countCharacters(readText(inputs, 'string')))),
  declareNode('StringTrim', (inputs) =>
    giveText(trimText(readText(inputs, 'string'), readText(inputs, 'mode'))),
  ),
  declareNode('StringReplace', (inputs) =>
    giveText(
      replaceText(readText(inputs, 'string'), {
        find: readText(inputs, 'find'),
        replacement: readText(inputs, 'replace'),
        maxChars: MAX_CHARS,
      }),
    ),
  ),
  declareNode('CaseConverter', (inputs) =>
    giveText(convertCase(readText(inputs, 'string'), readText(inputs, 'mode'))),
  ),
];
