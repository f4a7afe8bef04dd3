/** Letters, digits, `-._~`: no honest client escapes these. */
const ESCAPED_PLAIN = /%(?:2[de]|3\d|4[1-9a-f]|5[\daf]|6[1-9a-f]|7[\dae])/i;
const PRINTABLE = /^[\x21-\x7e]+$/;
// eslint-disable-next-line no-control-regex -- exactly those are refused
const REFUSED_CHARACTER = /[\\\x00-\x1f\x7f]/;
const MAX_DECODINGS = 4;

/**
 * The path that a request target means, with every escape undone, however often it was escaped.
 * @param target as it came: path and query
 * @returns undefined for one that two servers could read differently: with dot segments, doubled or
 *          back slashes, control characters, needless or broken escapes
 */
export function readPath(target: string): string | undefined {
  if (!PRINTABLE.test(target) || !target.startsWith('/')) return undefined;
  const raw = target.split('?', 1)[0] ?? '';
  if (raw.includes('#') || ESCAPED_PLAIN.test(raw)) return undefined;
  const path = decodeFully(raw);
  if (path === undefined || REFUSED_CHARACTER.test(path)) return undefined;
  const segments = path.slice(1).split('/');
  const isOdd = segments.some(
    (segment, index) =>
      segment === '.' ||
      segment === '..' ||
      (segment === '' && (index < segments.length - 1 || raw.endsWith('//'))),
  );
  return isOdd ? undefined : path;
}

function decodeFully(raw: string): string | undefined {
  let path = raw;
  try {
    for (let round = 0; round < MAX_DECODINGS; round += 1) {
      const decoded = decodeURIComponent(path);
      if (decoded === path) return path;
      path = decoded;
    }
  } catch {
    // A broken escape.
  }
  return undefined;
}
