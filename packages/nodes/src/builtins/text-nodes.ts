import { isJsonObject, type JsonValue, parseJson, stringifyJson } from '@tiercel/contracts';
import {
  convertCase,
  countCharacters,
  pythonStr,
  replaceText,
  sliceText,
  trimText,
} from '@tiercel/graph';
import { type NodeDefinition, NodeError, type NodeInputs } from '../node-definition.ts';
import { readBoolean, readNumber, readText } from '../read-input.ts';
import { declareNode } from './declare-node.ts';
import { fillTemplate, findMatches, type RegexMatch, type RegexOptions } from './python-regex.ts';
import { toPythonText } from './value-nodes.ts';

/** Of a text that nodes make: a chain of them could otherwise double it until the memory is full. */
const MAX_CHARS = 10_000_000;

/** A text, or what is counted of one. @throws NodeError when it is too long, or undefined for that reason */
function giveText(value: string | number | undefined) {
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

const give = (value: boolean) => Promise.resolve({ outputs: [value] });

/** Two texts as they are to be compared. */
function readPair(inputs: NodeInputs, first: string, second: string): readonly [string, string] {
  const isExact = readBoolean(inputs, 'case_sensitive');
  const read = (name: string) => {
    const text = readText(inputs, name);
    return isExact ? text : text.toLowerCase();
  };
  return [read(first), read(second)];
}

const contains = declareNode('StringContains', (inputs) => {
  const [text, part] = readPair(inputs, 'string', 'substring');
  return give(text.includes(part));
});

const compare = declareNode('StringCompare', (inputs) => {
  const [a, b] = readPair(inputs, 'string_a', 'string_b');
  const mode = readText(inputs, 'mode');
  if (mode === 'Starts With') return give(a.startsWith(b));
  return give(mode === 'Ends With' ? a.endsWith(b) : a === b);
});

const LETTER_GROUP = 'values.';

/** Python's format() of what nodes here carry: names of inputs, `{{` and `}}` for braces, `:.2f` and `:04d`. */
const format = declareNode('StringFormat', (inputs) => {
  const text = readText(inputs, 'f_string');
  const filled = text.replace(
    /\{\{|\}\}|\{([a-z])(?:![rsa])?(?::([^{}]*))?\}/g,
    (whole, name: string | undefined, spec: string | undefined) => {
      if (name === undefined) return whole.slice(0, 1);
      const value = inputs[LETTER_GROUP + name];
      if (value === undefined) throw new NodeError(`'${name}'`, { exceptionType: 'KeyError' });
      return formatValue(value, spec ?? '');
    },
  );
  return giveText(filled);
});

function formatValue(value: unknown, spec: string): string {
  if (spec === '') return toPythonText(value);
  const [, fill, width, digits, kind] = /^(0?)(\d{0,3})(?:\.(\d{1,2}))?([dfs]?)$/.exec(spec) ?? [];
  if (kind === undefined) {
    throw new NodeError(`Format specifier '${spec}' is not supported here.`, {
      exceptionType: 'ValueError',
    });
  }
  const isNumber = typeof value === 'number' && (digits !== undefined || kind === 'f');
  const text = isNumber ? value.toFixed(Number(digits ?? 6)) : toPythonText(value);
  const isText = typeof value === 'string';
  return isText
    ? text.padEnd(Number(width))
    : text.padStart(Number(width), fill === '' ? ' ' : '0');
}

function readOptions(inputs: NodeInputs): RegexOptions {
  // RegexReplace may leave them out.
  return {
    ignoreCase: inputs.case_insensitive === undefined || readBoolean(inputs, 'case_insensitive'),
    multiline: inputs.multiline !== undefined && readBoolean(inputs, 'multiline'),
    dotAll: inputs.dotall !== undefined && readBoolean(inputs, 'dotall'),
  };
}

function find(inputs: NodeInputs, limit?: number): readonly RegexMatch[] {
  const pattern = readText(inputs, 'regex_pattern');
  return findMatches(pattern, readText(inputs, 'string'), readOptions(inputs), limit);
}

const regexMatch = declareNode('RegexMatch', (inputs) => give(find(inputs, 1).length > 0));

const regexExtract = declareNode('RegexExtract', (inputs) => {
  const mode = readText(inputs, 'mode');
  const isFirst = mode.startsWith('First');
  const group = readNumber(inputs, 'group_index');
  const texts = find(inputs, isFirst ? 1 : undefined).map(({ groups }) => {
    if (mode.endsWith('Group') || mode.endsWith('Groups')) return groups[group];
    // As re.findall: with groups in the pattern, the first of them.
    return isFirst ? groups[0] : (groups[1] ?? groups[0]);
  });
  return giveText(texts.filter((text) => text !== undefined).join('\n'));
});

const regexReplace = declareNode('RegexReplace', (inputs) => {
  const text = readText(inputs, 'string');
  const template = readText(inputs, 'replace');
  const count = inputs.count === undefined ? 0 : readNumber(inputs, 'count');
  const parts: string[] = [];
  let at = 0;
  for (const match of find(inputs, count === 0 ? undefined : count)) {
    parts.push(text.slice(at, match.index), fillTemplate(template, match));
    at = match.index + (match.groups[0] ?? '').length;
  }
  return giveText([...parts, text.slice(at)].join(''));
});

/** Objects that are tried: a text of braces alone would otherwise be parsed once for each. */
const MAX_TRIES = 50;

/** A member of the first JSON object in a text, which may stand among other words. */
const jsonExtract = declareNode('JsonExtractString', (inputs) => {
  const value = findObject(readText(inputs, 'json_string'))?.get(readText(inputs, 'key')) ?? null;
  return giveText(value === null ? '' : pythonStr(value));
});

function findObject(text: string): ReadonlyMap<string, JsonValue> | undefined {
  let at = text.indexOf('{');
  for (let tries = 0; at >= 0 && tries < MAX_TRIES; tries += 1) {
    const end = findClosingBrace(text, at);
    const value = end === undefined ? undefined : tryParse(text.slice(at, end + 1));
    if (isJsonObject(value)) return new Map(Object.entries(value));
    at = text.indexOf('{', at + 1);
  }
  return undefined;
}

/** Where the object that begins at `start` ends; braces within its texts do not count. */
function findClosingBrace(text: string, start: number): number | undefined {
  let depth = 0;
  let isQuoted = false;
  for (let at = start; at < text.length; at += 1) {
    const char = text[at];
    if (isQuoted) {
      if (char === '\\') at += 1;
      else if (char === '"') isQuoted = false;
    } else if (char === '"') isQuoted = true;
    else if (char === '{') depth += 1;
    else if (char === '}') {
      depth -= 1;
      if (depth === 0) return at;
    }
  }
  return undefined;
}

function tryParse(text: string): JsonValue | undefined {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}

/** It is here for graphs whose switches leave it out: only what runs needs a language model. */
const textGenerate = declareNode('TextGenerate', (_inputs, { nodeId }) =>
  Promise.reject(
    new NodeError(`Node ${nodeId} (TextGenerate) wants a language model, and there is none here.`, {
      exceptionType: 'NotImplementedError',
    }),
  ),
);

/** Nodes that look into texts. */
/** One text of a set changed; a list of them runs text by text. */
function changeText(
  classType: string,
  change: (text: string, read: (name: string) => string) => string | undefined,
): NodeDefinition {
  return declareNode(classType, (inputs) =>
    giveText(change(readText(inputs, 'texts'), (name) => readText(inputs, name))),
  );
}

const textSetNodes: readonly NodeDefinition[] = [
  changeText('TextToLowercase', (text) => text.toLowerCase()),
  changeText('TextToUppercase', (text) => text.toUpperCase()),
  changeText('AddTextPrefix', (text, read) => read('prefix') + text),
  changeText('AddTextSuffix', (text, read) => text + read('suffix')),
  changeText('ReplaceText', (text, read) =>
    replaceText(text, {
      find: read('find'),
      replacement: read('replace'),
      maxChars: MAX_CHARS,
    }),
  ),
  changeText('StripWhitespace', (text) => trimText(text, 'Both')),
  declareNode('TruncateText', (inputs) =>
    giveText(sliceText(readText(inputs, 'texts'), 0, readNumber(inputs, 'max_length'))),
  ),
];

/** JSON as Python prints it. @param name of the input that has it */
function writeJson(classType: string, name: string): NodeDefinition {
  return declareNode(classType, (inputs) => {
    const value = toPlain(inputs[name]);
    const indent = readNumber(inputs, 'indent');
    return giveText(JSON.stringify(value, undefined, indent));
  });
}

/** What a node hands on may hold 64-bit integers; those are no JSON of JavaScript's. */
function toPlain(value: unknown): JsonValue {
  return JSON.parse(stringifyJson(value)) as JsonValue; // JSON just written
}

export const textNodes: readonly NodeDefinition[] = [
  ...textSetNodes,
  writeJson('ConvertDictionaryToString', 'dictionary'),
  writeJson('ConvertArrayToString', 'array'),
  contains,
  compare,
  format,
  regexMatch,
  regexExtract,
  regexReplace,
  jsonExtract,
  textGenerate,
];
