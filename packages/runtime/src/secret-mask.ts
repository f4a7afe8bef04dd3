/*
 * Takes secret values out of whatever is written down or passed on. A backend that is given a caller's key may say it
 * back anywhere: in an error's text, in the inputs that it reports, in what a node shows; as it is, or inside JSON, a
 * URL, a header's base64. So a value is looked for in all these spellings, in the middle of longer texts too, and
 * broken by line ends.
 *
 * Not every value can be: taking `1` or `test` out of all texts would destroy them and hide nothing, as nobody could
 * tell a key from a word. How far the search goes depends on how much a value can be mistaken for something else.
 */

export const REDACTED = '[redacted]';

/** From here on a value is looked for everywhere and in every spelling. */
const UNMISTAKABLE_LENGTH = 8;
/** Below it, and from here on, as a word of its own. Shorter ones only where they are the whole text. */
const WORD_LENGTH = 4;
/** Values of letters alone are ordinary words up to here, and treated as the shortest are. */
const PLAIN_WORD_LENGTH = 12;
/** Nothing is looked for beyond: no key is as long, and patterns grow with it. */
const MAX_LENGTH = 8_192;
/** From here on the beginning tells a value: it may have been cut, and a pattern of all of it is slow. */
const LONG_LENGTH = 48;
const BEGINNING_LENGTH = 24;

export interface SecretMask {
  /** The text without the secrets. */
  text(text: string): string;
  /**
   * A JSON-like value without them: strings at any depth, names of members too, and numbers that are one of them;
   * whatever stands under a secret name goes whole. Bytes stay as they are. What holds nothing is returned as it is.
   */
  value<T>(value: T): T;
}

/** A mask that hides nothing. */
export const NO_MASK: SecretMask = { text: (text) => text, value: (value) => value };

/**
 * @param secrets in any order; empty ones are passed over
 * @param names members whose values are secret, whatever they are
 */
export function createSecretMask(
  secrets: readonly string[],
  names: readonly string[] = [],
): SecretMask {
  const values = [...new Set(secrets)].filter((secret) => secret.trim() !== '');
  if (values.length === 0 && names.length === 0) return NO_MASK;
  // Longer first: one secret may be part of another.
  const spellings = values.sort((a, b) => b.length - a.length).flatMap(findSpellings);
  const filter = writeFilter(spellings);
  const patterns = spellings.map(writePattern);
  const whole = new Set(values);
  const secretNames = new Set(names.map((name) => name.toLowerCase()));

  const maskText = (text: string): string => {
    if (whole.has(text)) return REDACTED;
    if (spellings.length === 0 || !filter.test(text)) return text;
    let masked = text;
    for (const pattern of patterns) masked = masked.replace(pattern, REDACTED);
    return masked;
  };
  const maskMember = (name: string, value: unknown): unknown =>
    secretNames.has(name.toLowerCase()) && value !== null && value !== undefined
      ? REDACTED
      : maskValue(value);
  const maskValue = (value: unknown): unknown => {
    if (typeof value === 'string') return maskText(value);
    if (typeof value === 'number' || typeof value === 'bigint') {
      return whole.has(String(value)) ? REDACTED : value;
    }
    if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
    if (Array.isArray(value)) {
      const items: readonly unknown[] = value;
      const masked = items.map(maskValue);
      return masked.some((item, index) => item !== items[index]) ? masked : value;
    }
    const members = Object.entries(value);
    const masked = members.map(([name, member]) => [maskText(name), maskMember(name, member)]);
    const isChanged = masked.some(
      ([name, member], index) => name !== members[index]?.[0] || member !== members[index]?.[1],
    );
    return isChanged ? Object.fromEntries(masked) : value;
  };
  // The same shape comes back, with other texts in it.
  return { text: maskText, value: <T>(value: T) => maskValue(value) as T };
}

/** How a secret may be written: what stands for each of its characters, and what may stand between two. */
interface Spelling {
  readonly units: readonly string[];
  readonly between: string;
  /** Put around the whole; default nothing. */
  readonly around?: readonly [before: string, after: string];
}

function findSpellings(secret: string): Spelling[] {
  const { length } = secret;
  if (length > MAX_LENGTH) return findSpellings(secret.slice(0, MAX_LENGTH));
  if (length < WORD_LENGTH) return [];
  if (length < PLAIN_WORD_LENGTH && /^\p{L}+$/u.test(secret)) return [];
  const units = Array.from(secret, spell);
  if (length < UNMISTAKABLE_LENGTH) {
    return [{ units, between: '', around: ['(?<![\\p{L}\\p{N}])', '(?![\\p{L}\\p{N}])'] }];
  }
  // What was put into JSON or a URL before it went into base64 looks different there.
  const encoded = new Set([
    secret,
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(toUnicode(secret)),
  ]);
  const plain: Spelling = { units, between: BREAK };
  const others: Spelling[] = [
    ...[...encoded].flatMap(spellBase64).map((base64) => ({ units: base64, between: BREAK })),
    { units: spellHex(secret), between: '[ :-]?' },
  ];
  if (length < LONG_LENGTH) return [plain, ...others];
  const isWord = /^[\w.+/=~-]+$/.test(secret);
  return [...(isWord ? [] : [plain]), ...[plain, ...others].map(toBeginning)];
}

/** The beginning of a long value and what follows it of the same word, over lines that are filled with it. */
function toBeginning({ units, between }: Spelling): Spelling {
  const beginning = units.slice(0, BEGINNING_LENGTH);
  const rest = `[\\w.+/=~%-]*(?:(?:${SLASHES}[rn]|[\\r\\n]){1,4}[ \\t]{0,80}[\\w.+/=~%-]{20,})*`;
  return { units: beginning, between, around: ['', rest] };
}

function writePattern({ units, between, around: [before, after] = ['', ''] }: Spelling): RegExp {
  return new RegExp(`${before}${units.join(between)}${after}`, 'gu');
}

/** Whether a text may hold one of these: patterns of long secrets are too large to be tried on every text. */
function writeFilter(spellings: readonly Spelling[]): RegExp {
  const beginnings = spellings.map(({ units, between }) => units.slice(0, 5).join(between));
  return new RegExp([...new Set(beginnings)].join('|'), 'u');
}

/**
 * What escapes a character, once or in text within text. Bounded, as every repetition here: a pattern that may go on
 * for ever is slow on texts made for it.
 */
const SLASHES = '\\\\{1,7}';
/** A line end within a long value, as text or escaped, with the indentation behind it. */
const BREAK = `(?:(?:${SLASHES}[rn]|[\\r\\n]){1,4}[ \\t]{0,80})?`;

/** The spellings of one character: plain, in a URL, in JSON (escaped once or more), in HTML. */
function spell(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  const utf8 = [...Buffer.from(character, 'utf8')];
  const utf16 = Array.from({ length: character.length }, (_, index) => character.charCodeAt(index));
  const spellings = [
    escapePattern(character),
    utf8.map((byte) => `%(?:25){0,3}${anyCase(hex(byte, 2))}`).join(''),
    utf16.map((unit) => `${SLASHES}u${anyCase(hex(unit, 4))}`).join(''),
    ...(code < 256 ? [`${SLASHES}x${anyCase(hex(code, 2))}`] : []),
    ...(/[\p{L}\p{N}]/u.test(character) ? [] : [`${SLASHES}${escapePattern(character)}`]),
    ...(character === ' ' ? ['\\+'] : []),
    ...(HTML_NAMES[character] ?? []).map((name) => `&${name};`),
    ...(/[&<>"']/.test(character)
      ? [`&#0{0,4}${code};`, `&#[xX]0{0,4}${anyCase(hex(code, 2))};`]
      : []),
  ];
  return `(?:${spellings.join('|')})`;
}

const HTML_NAMES: Readonly<Record<string, readonly string[]>> = {
  '&': ['amp'],
  '<': ['lt'],
  '>': ['gt'],
  '"': ['quot'],
  "'": ['apos'],
};

/**
 * What base64 of any text that holds the secret has in it: three ways, by where the secret begins among groups of
 * three bytes. The characters at both ends, which its neighbours have a part in, are left out.
 */
function spellBase64(secret: string): string[][] {
  return [0, 1, 2].map((offset) => {
    const bytes = Buffer.concat([Buffer.alloc(offset), Buffer.from(secret, 'utf8')]);
    const encoded = bytes.toString('base64');
    const certain = encoded.slice(Math.ceil((offset * 8) / 6), Math.floor((bytes.length * 8) / 6));
    return Array.from(certain, spellBase64Character);
  });
}

function spellBase64Character(character: string): string {
  if (character === '+') return `(?:[+-]|%2[bB]|${SLASHES}u002[bB])`;
  if (character === '/') return `(?:/|_|%2[fF]|${SLASHES}(?:/|u002[fF]))`;
  return character;
}

function spellHex(secret: string): string[] {
  return [...Buffer.from(secret, 'utf8')].map((byte) => anyCase(hex(byte, 2)));
}

/** Without halves of characters, which no encoding takes. */
function toUnicode(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8');
}

function hex(number: number, digits: number): string {
  return number.toString(16).padStart(digits, '0');
}

function anyCase(digits: string): string {
  return digits.replace(/[a-f]/g, (digit) => `[${digit}${digit.toUpperCase()}]`);
}

function escapePattern(character: string): string {
  return /[\\^$.*+?()[\]{}|/]/.test(character) ? `\\${character}` : character;
}
