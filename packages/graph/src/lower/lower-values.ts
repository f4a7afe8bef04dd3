import { BROKEN, type GraphValue, type Scalar } from './graph-value.ts';
import type { NodeReader } from './node-reader.ts';
import {
  convertCase,
  countCharacters,
  replaceText,
  sliceText,
  trimText,
} from './string-functions.ts';
import { MAX_JOINED_CHARS } from './prompt-texts.ts';

/** What a node's outputs carry. */
export type Handler = (node: NodeReader) => readonly GraphValue[];

/** A primitive hands on what it holds; a reroute what it is linked to, whatever its input is called. */
const passValue: Handler = (node) => [node.read('value') ?? [...node.linked()][0] ?? BROKEN];

/** Hands on the branch that is chosen; which one only the run may tell. */
const passChosen: Handler = (node) => {
  const isOn = node.boolean('switch');
  if (isOn === undefined) return [BROKEN];
  node.ignore(isOn ? 'on_false' : 'on_true');
  return [node.read(isOn ? 'on_true' : 'on_false') ?? BROKEN];
};

const passLink: Handler = (node) => [[...node.linked()][0] ?? BROKEN];

/** A string node: known when all its inputs are, else made by whichever of them only the run can tell. */
function compute(
  inputs: readonly string[],
  apply: (...values: readonly Scalar[]) => Scalar | undefined,
): Handler {
  return (node) => {
    const read = inputs.map((input) => node.read(input) ?? BROKEN);
    const values = read.flatMap((value) => (value.kind === 'scalar' ? [value.value] : []));
    if (values.length < read.length) return [read.find(({ kind }) => kind !== 'scalar') ?? BROKEN];
    const chars = values.reduce<number>((sum, value) => sum + String(value).length, 0);
    const isSmall = chars <= MAX_JOINED_CHARS && node.texts.spend(chars);
    const value = isSmall ? apply(...values) : undefined;
    if (value !== undefined) return [{ kind: 'scalar', value }];
    // Too long to look at: that leaves it to the run.
    const { nodeId, classType } = node;
    return [{ kind: 'unknown', nodeId, classType, origin: 'empty' }];
  };
}

/** Nodes whose outputs are plain texts and numbers. */
export const valueHandlers: readonly (readonly [string, Handler])[] = [
  ...['PrimitiveInt', 'PrimitiveFloat', 'PrimitiveString', 'PrimitiveStringMultiline'].map(
    (name) => [name, passValue] as const,
  ),
  ['PrimitiveBoolean', passValue],
  ['PrimitiveNode', passValue],
  ['SeedNode', (node) => [node.read('seed') ?? BROKEN]],
  ['Reroute', passLink],
  ['ComfySwitchNode', passChosen],
  [
    'StringConcatenate',
    compute(['string_a', 'string_b', 'delimiter'], (a = '', b = '', delimiter = '') =>
      [a, b].join(String(delimiter)),
    ),
  ],
  [
    'StringSubstring',
    compute(['string', 'start', 'end'], (text = '', start = 0, end = 0) =>
      sliceText(String(text), Number(start), Number(end)),
    ),
  ],
  ['StringLength', compute(['string'], (text = '') => countCharacters(String(text)))],
  [
    'StringTrim',
    compute(['string', 'mode'], (text = '', mode = '') => trimText(String(text), String(mode))),
  ],
  [
    'StringReplace',
    compute(['string', 'find', 'replace'], (text = '', find = '', replacement = '') =>
      replaceText(String(text), {
        find: String(find),
        replacement: String(replacement),
        maxChars: MAX_JOINED_CHARS,
      }),
    ),
  ],
  [
    'CaseConverter',
    compute(['string', 'mode'], (text = '', mode = '') => convertCase(String(text), String(mode))),
  ],
];
