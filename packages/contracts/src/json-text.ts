/**
 * Work on JSON as text. A prompt is kept as the caller wrote it (key order, `1.0`, 64-bit seeds),
 * because a JavaScript object would reorder integer-like keys and round numbers. Every function here
 * takes text that a JSON parser has already accepted.
 */

const WHITESPACE = /[ \t\n\r]*/y;

function skipSpace(text: string, at: number): number {
  WHITESPACE.lastIndex = at;
  WHITESPACE.test(text);
  return WHITESPACE.lastIndex;
}

/** The index just past the string literal that starts at `at`. */
function endOfString(text: string, at: number): number {
  let end = at;
  for (;;) {
    end = text.indexOf('"', end + 1);
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === 92) backslashes += 1;
    if (backslashes % 2 === 0) return end + 1;
  }
}

/** The index just past the value that starts at `at`. */
function endOfValue(text: string, at: number): number {
  const first = text[at];
  if (first === '"') return endOfString(text, at);
  let index = at;
  if (first !== '{' && first !== '[') {
    while (index < text.length && !',]} \t\n\r'.includes(text.charAt(index))) index += 1;
    return index;
  }
  let depth = 0;
  for (;;) {
    const code = text.charCodeAt(index);
    if (code === 34) {
      index = endOfString(text, index);
      continue;
    }
    if (code === 123 || code === 91) depth += 1;
    else if (code === 125 || code === 93) {
      depth -= 1;
      if (depth === 0) return index + 1;
    }
    index += 1;
  }
}

/**
 * The members of a JSON object as raw text, in their order; a repeated key keeps its last value.
 * @returns an empty map when the text is not an object
 */
export function sliceMembers(text: string): Map<string, string> {
  const members = new Map<string, string>();
  let at = skipSpace(text, 0);
  if (text[at] !== '{') return members;
  at = skipSpace(text, at + 1);
  while (text[at] === '"') {
    const keyEnd = endOfString(text, at);
    const key = JSON.parse(text.slice(at, keyEnd)) as string;
    const valueStart = skipSpace(text, skipSpace(text, keyEnd) + 1);
    const valueEnd = endOfValue(text, valueStart);
    members.set(key, text.slice(valueStart, valueEnd));
    at = skipSpace(text, valueEnd);
    if (text[at] === ',') at = skipSpace(text, at + 1);
  }
  return members;
}

/** The inverse of sliceMembers: a JSON object of these members, each value as the text it is. */
export function joinMembers(members: ReadonlyMap<string, string>): string {
  return `{${[...members].map(([name, text]) => `${JSON.stringify(name)}:${text}`).join(',')}}`;
}

/**
 * Rewrites JSON text as Python's `json.dumps` prints what it has read of it (", " and ": " between items, non-ASCII as
 * \uXXXX, floats in Python's words): what ComfyUI puts into PNG text chunks. Integers and key order stay as written.
 */
export function toPythonJson(text: string): string {
  let out = '';
  let at = 0;
  while (at < text.length) {
    const char = text.charAt(at);
    if (char === '"') {
      const end = endOfString(text, at);
      out += escapeNonAscii(JSON.stringify(JSON.parse(text.slice(at, end))));
      at = end;
      continue;
    }
    if (char === '-' || (char >= '0' && char <= '9')) {
      const end = endOfValue(text, at);
      out += toPythonNumber(text.slice(at, end));
      at = end;
      continue;
    }
    if (char === ',') out += ', ';
    else if (char === ':') out += ': ';
    else if (char !== ' ' && char !== '\n' && char !== '\t' && char !== '\r') out += char;
    at += 1;
  }
  return out;
}

/** A number with a point or an exponent is a float to Python, whatever its value. */
function toPythonNumber(text: string): string {
  if (text === '-0') return '0';
  const value = Number(text);
  // What is too large for a float has no JSON form in Python either.
  return /[.e]/i.test(text) && Number.isFinite(value) ? pythonFloat(value) : text;
}

function escapeNonAscii(literal: string): string {
  return literal.replace(
    /[\u007f-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Python's `repr()` of a float: `1.0`, `1e+16`, `1e-05`, `inf`. */
export function pythonFloat(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  const [mantissa = '', exponentText = '0'] = value.toExponential().split('e');
  const exponent = Number(exponentText);
  if (exponent >= 16 || exponent < -4) {
    const sign = exponent < 0 ? '-' : '+';
    return `${mantissa}e${sign}${String(Math.abs(exponent)).padStart(2, '0')}`;
  }
  const plain = Object.is(value, -0) ? '-0' : String(value);
  return Number.isInteger(value) ? `${plain}.0` : plain;
}
