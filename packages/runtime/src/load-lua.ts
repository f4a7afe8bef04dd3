import { readFileSync } from 'node:fs';
import { basename, dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isRedisName, luaName, sharedLuaFolder } from '@tiercel/contracts';
import { dropUnusedLua, type LuaLine } from './drop-unused-lua.ts';

export interface LuaScript {
  /** The file's, without `.lua`. */
  readonly name: string;
  /** With everything that it uses of what it includes in its place. */
  readonly text: string;
}

/**
 * Reads the script that stands beside its wrapper, `<name>.lua` beside `<name>.ts`, when the wrapper's module is
 * loaded; nothing is read after the start. Two directives, each a line of its own:
 *
 * - `-- @include <name>` puts `<name>.lua` there: of the folder `includes` beside the script, or of the one in
 *   packages/contracts, which all rooms share. A file that is included twice stands once, at the first place.
 * - `-- @keys <name> ...` makes names of Redis keys known, from NAMES in packages/contracts/src/redis-names.ts:
 *   `pending` as the string `pending_key`, `job` as the function `job_key(id)`, a channel under its own name.
 *   They want a local `prefix`.
 *
 * A local that a script gets so and does not use is left out.
 *
 * The compiler does not copy Lua, so a built wrapper reads it from the sources, which are beside every build.
 *
 * @throws Error that names the file: it is missing, includes itself, or names a key that there is not
 */
export function loadLua(wrapperUrl: string): LuaScript {
  const wrapper = toSource(fileURLToPath(wrapperUrl));
  const name = basename(wrapper).replace(/\.[jt]s$/, '');
  const folder = dirname(wrapper);
  const splicer = new Splicer([
    join(folder, 'includes'),
    toSource(fileURLToPath(sharedLuaFolder())),
  ]);
  const lines = splicer.splice(join(folder, `${name}.lua`));
  return { name, text: dropUnusedLua(lines).join('\n') };
}

/** `<room>/dist/<path>` -> `<room>/src/<path>`. */
function toSource(path: string): string {
  const parts = path.split(sep);
  const room = parts.lastIndexOf('dist');
  return room === -1 ? path : parts.with(room, 'src').join(sep);
}

/** Puts one script together. */
class Splicer {
  readonly #folders: readonly string[];
  readonly #keys = new Set<string>();
  readonly #done = new Set<string>();
  /** Files that include one another, from the script to the one that is being read. */
  readonly #path: string[] = [];

  constructor(folders: readonly string[]) {
    this.#folders = folders;
  }

  splice(file: string): LuaLine[] {
    if (this.#path.includes(file)) {
      throw new Error(`Lua files include one another: ${[...this.#path, file].join(' -> ')}`);
    }
    if (this.#done.has(file)) return [];
    const text = read(file);
    if (text === undefined) {
      throw new Error(`The Lua script ${file} is missing: it belongs to the sources of Tiercel.`);
    }
    this.#path.push(file);
    const lines = text
      .trimEnd()
      .split('\n')
      .flatMap((line) => this.#expand(line, file));
    this.#path.pop();
    this.#done.add(file);
    return lines;
  }

  #expand(line: string, file: string): LuaLine[] {
    const ofFile: LuaLine = { text: line, isShared: this.#path.length > 1 };
    const [, directive, rest = ''] = /^-- @(\w+)(?: +(.*))?$/.exec(line) ?? [];
    const names = rest.split(' ');
    switch (directive) {
      case undefined:
        return [ofFile];
      case 'include':
        // The line stays: it says where what follows comes from.
        return [ofFile, ...names.flatMap((name) => this.splice(this.#find(name, file)))];
      case 'keys':
        return names.flatMap((name) => this.#declare(name, file));
      default:
        throw new Error(`${file}: there is no directive @${directive}.`);
    }
  }

  #find(name: string, file: string): string {
    const files = this.#folders.map((folder) => join(folder, `${name}.lua`));
    const found = files.find((candidate) => read(candidate) !== undefined);
    if (found !== undefined) return found;
    throw new Error(`${file} includes ${name}, which is missing: ${files.join(' or ')}`);
  }

  #declare(name: string, file: string): LuaLine[] {
    if (!isRedisName(name)) {
      throw new Error(`${file}: ${name} is not in NAMES of packages/contracts/src/redis-names.ts.`);
    }
    if (this.#keys.has(name)) return [];
    this.#keys.add(name);
    return [{ text: luaName(name), isShared: true }];
  }
}

const texts = new Map<string, string>();

/** Undefined when there is no such file. Each is read once: a dozen scripts share some of them. */
function read(file: string): string | undefined {
  const known = texts.get(file);
  if (known !== undefined) return known;
  try {
    const text = readFileSync(file, 'utf8');
    texts.set(file, text);
    return text;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
