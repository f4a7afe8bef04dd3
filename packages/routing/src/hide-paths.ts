import { homedir } from 'node:os';

/*
 * Errors of nodes name files of the machine they ran on: in Node's messages, in Python's, in tracebacks. Callers are
 * shown the errors; where a machine keeps its files, and who its user is, is not theirs to know. What helps to find the
 * place of an error stays: the file's name, and its folders from the one on that every installation has.
 */

/** Folders by which people know a file, wherever the installation is. */
const KNOWN_FOLDERS = [
  ...['site-packages', 'dist-packages', 'node_modules', 'custom_nodes'],
  ...['comfy', 'comfy_api', 'comfy_api_nodes', 'comfy_execution', 'comfy_extras'],
  ...['models', 'input', 'output', 'temp'],
];

/** In quotes a path may have blanks in it, as Python, Node and systems write one. */
const QUOTED =
  /(?<quote>['"`])(?:file:\/\/)?(?<path>(?:\/|[A-Za-z]:[\\/]|\\\\)[^'"`\n]{1,4096})\k<quote>/g;
/** At least two folders: `/prompt` is a route, and `and/or` is no path at all. Nor is what follows a host. */
const BARE =
  /(?<![\w/\\.~@%+-])(?<![A-Z]{3,6} )(?:file:\/\/)?(?:\/|[A-Za-z]:[\\/]{1,4}|\\\\)(?:[^\s/\\'"`<>|:;,()[\]{}]+[\\/]{1,4})+[^\s/\\'"`<>|:;,()[\]{}]*/g;

/** A text without the folders of machines that are named in it. */
export function hidePaths(text: string): string {
  return withoutRoots(text)
    .replace(QUOTED, (...found) => {
      // The last argument of a replacer is the named groups, when there are any.
      const { quote = '', path = '' } = found.at(-1) as Partial<Record<string, string>>;
      return isFolderless(path) ? found[0] : `${quote}${shorten(path)}${quote}`;
    })
    .replace(BARE, (path) => shorten(path.replace(/^file:\/\//, '')));
}

/** The strings of a JSON-like value without them, at any depth. */
export function hidePathsIn<T>(value: T): T {
  const hide = (inner: unknown): unknown => {
    if (typeof inner === 'string') return hidePaths(inner);
    if (Array.isArray(inner)) return inner.map(hide);
    if (typeof inner !== 'object' || inner === null) return inner;
    return Object.fromEntries(Object.entries(inner).map(([name, member]) => [name, hide(member)]));
  };
  return hide(value) as T; // the same shape, with other texts in it
}

/** This process's own folders may have blanks in their names, which a bare path does not. */
function withoutRoots(text: string): string {
  return [process.cwd(), homedir()]
    .filter((root) => /[\s]/.test(root))
    .reduce((rest, root) => rest.replaceAll(`${root}/`, '/-/'), text);
}

/** `/prompt` in quotes: a route, or a file right below the root, which tells nothing. */
function isFolderless(path: string): boolean {
  return !/[\\/][^\\/]+[\\/]/.test(path.replace(/^[A-Za-z]:/, '').replace(/^\\\\/, '\\x\\'));
}

function shorten(path: string): string {
  const parts = path.split(/[\\/]/).filter((part) => part !== '');
  const known = parts.findLastIndex((part) => KNOWN_FOLDERS.includes(part));
  const from = known >= 0 && known < parts.length - 1 ? known : parts.length - 1;
  return parts.slice(from).join('/');
}
