/**
 * ComfyUI's string nodes (comfy_extras/nodes_string.py), as functions of their inputs. Python counts
 * characters by code point, so these do too.
 */

/** Python's `text[start:end]`; negative positions count from the end. */
export function sliceText(text: string, start: number, end: number): string {
  return Array.from(text).slice(start, end).join('');
}

/** Python's `len(text)`. */
export function countCharacters(text: string): number {
  return Array.from(text).length;
}

/** Trims `Left`, `Right` or `Both` sides. */
export function trimText(text: string, mode: string): string {
  if (mode === 'Left') return text.trimStart();
  return mode === 'Right' ? text.trimEnd() : text.trim();
}

/**
 * Python's `text.replace(find, replacement)`: an empty `find` is found before every character and at the end.
 * @returns undefined when the result would be longer than `maxChars`
 */
export function replaceText(
  text: string,
  options: { find: string; replacement: string; maxChars: number },
): string | undefined {
  const { find, replacement, maxChars } = options;
  const parts = find === '' ? ['', ...Array.from(text), ''] : text.split(find);
  const removed = (parts.length - 1) * find.length;
  const added = (parts.length - 1) * replacement.length;
  return text.length - removed + added > maxChars ? undefined : parts.join(replacement);
}

/** `UPPERCASE`, `lowercase`, `Capitalize` or `Title Case`; any other mode changes nothing. */
export function convertCase(text: string, mode: string): string {
  switch (mode) {
    case 'UPPERCASE':
      return text.toUpperCase();
    case 'lowercase':
      return text.toLowerCase();
    case 'Capitalize':
      return capitalize(text);
    case 'Title Case':
      // Python's title(): a word is a run of letters.
      return text.replace(/\p{L}+/gu, capitalize);
    default:
      return text;
  }
}

function capitalize(text: string): string {
  const [first = '', ...rest] = text;
  return first.toUpperCase() + rest.join('').toLowerCase();
}
