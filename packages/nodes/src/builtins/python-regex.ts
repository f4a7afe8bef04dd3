import { createContext, Script } from 'node:vm';
import { NodeError } from '../node-definition.ts';

/** A pattern from a caller can take for ever: it is stopped after this, which a worker's other jobs can bear. */
const TIMEOUT_MS = 100;

export interface RegexOptions {
  readonly ignoreCase: boolean;
  readonly multiline: boolean;
  readonly dotAll: boolean;
}

export interface RegexMatch {
  readonly index: number;
  /** The whole match, then its groups; undefined for one that took no part. */
  readonly groups: readonly (string | undefined)[];
  readonly named: Readonly<Record<string, string | undefined>>;
}

const findAll = new Script(`
  const found = [];
  for (const match of text.matchAll(new RegExp(source, flags))) {
    found.push({ index: match.index, groups: [...match], named: { ...match.groups } });
    if (found.length >= limit) break;
  }
  found;
`);

/**
 * The first `limit` matches of a pattern in Python's syntax, as far as JavaScript has the same.
 * @throws NodeError for a pattern that cannot be read, or that takes too long
 */
export function findMatches(
  pattern: string,
  text: string,
  options: RegexOptions,
  limit = Infinity,
): readonly RegexMatch[] {
  const { source, flags } = translate(pattern, options);
  // Whole characters where the pattern allows it: without that, JavaScript reads more of Python's escapes.
  for (const more of ['gu', 'g']) {
    const found = tryPattern({ source, flags: flags + more, text, limit }, pattern);
    if (found !== undefined) return found;
  }
  throw fail(pattern, 'it cannot be read', 're.error');
}

/** Undefined for a pattern that JavaScript does not read. */
function tryPattern(search: object, pattern: string): readonly RegexMatch[] | undefined {
  try {
    // What the script pushes.
    return findAll.runInContext(createContext({ ...search }), {
      timeout: TIMEOUT_MS,
    }) as RegexMatch[];
  } catch (error) {
    // By its code: errors of other contexts are no Error of ours.
    const isTimeout =
      typeof error === 'object' &&
      error !== null &&
      'code' in error &&
      error.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT';
    if (isTimeout) throw fail(pattern, `it takes longer than ${TIMEOUT_MS} ms`, 'TimeoutError');
    return undefined;
  }
}

function fail(pattern: string, reason: string, exceptionType: string): NodeError {
  const message = `The regular expression '${pattern.slice(0, 200)}' fails: ${reason}.`;
  return new NodeError(message, { exceptionType });
}

/** Python's spellings in JavaScript's; flags at the head of a pattern become flags. */
function translate(
  pattern: string,
  { ignoreCase, multiline, dotAll }: RegexOptions,
): { source: string; flags: string } {
  const flags = new Set([
    ...(ignoreCase ? ['i'] : []),
    ...(multiline ? ['m'] : []),
    ...(dotAll ? ['s'] : []),
  ]);
  const withoutFlags = pattern.replace(/^\(\?([aimsux]+)\)/, (_, letters: string) => {
    for (const letter of letters) if ('ims'.includes(letter)) flags.add(letter);
    return '';
  });
  const end = flags.has('m') ? '$' : '(?=\\n?(?![\\s\\S]))';
  const source = withoutFlags
    .replaceAll('(?P<', '(?<')
    .replace(/\(\?P=(\w+)\)/g, '\\k<$1>')
    .replaceAll('\\A', '(?<![\\s\\S])')
    .replaceAll('\\Z', '(?![\\s\\S])')
    // Unless every line has an end, `$` also matches before a last line break.
    .replace(/(?<!\\)\$(?![^[]*\])/g, () => end);
  return { source, flags: [...flags].join('') };
}

/** What Python's re.sub puts in place of a match: `\1`, `\g<1>`, `\g<name>`, `\n` in the template. */
export function fillTemplate(template: string, { groups, named }: RegexMatch): string {
  return template.replace(
    /\\(?:g<(\w+)>|(\d{1,2})|(.))/gs,
    (_, name: string | undefined, digits: string | undefined, char: string | undefined) => {
      if (digits !== undefined) return groups[Number(digits)] ?? '';
      if (name !== undefined)
        return (/^\d+$/.test(name) ? groups[Number(name)] : named[name]) ?? '';
      return ESCAPES[char ?? ''] ?? char ?? '';
    },
  );
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' };
