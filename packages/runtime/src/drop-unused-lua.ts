/** A line of a script that was put together. */
export interface LuaLine {
  readonly text: string;
  /** Of an include or a declared key, not of the script itself. */
  readonly isShared: boolean;
}

/**
 * Leaves out what a script includes and does not use: Lua allows 200 locals, and Redis makes every function and every
 * name of a key anew at each call. What is left out is a local of an include, a whole statement from `local` at the
 * start of a line. It must not matter whether it is worked out: includes write nothing while they are read.
 */
export function dropUnusedLua(lines: readonly LuaLine[]): string[] {
  const kept: string[][] = [];
  const used = new Set<string>();
  for (const statement of listStatements(lines).reverse()) {
    const texts = statement.map(({ text }) => text);
    const names = statement[0]?.isShared === true ? readLocals(texts[0] ?? '') : [];
    if (names.length > 0 && !names.some((name) => used.has(name))) continue;
    for (const text of texts) {
      for (const [word] of text.replace(/--.*$/, '').matchAll(/[A-Za-z_]\w*/g)) used.add(word);
    }
    kept.push(texts);
  }
  return kept.reverse().flat();
}

/** A statement begins at the start of a line; what is indented or closes it is its own, and so is a comment. */
function listStatements(lines: readonly LuaLine[]): LuaLine[][] {
  const statements: LuaLine[][] = [];
  for (const line of lines) {
    const goesOn = /^(\s|end\b|else|until\b|[)}\]]|$)/.test(line.text);
    if (goesOn && statements.length > 0) statements.at(-1)?.push(line);
    else statements.push([line]);
  }
  return statements;
}

function readLocals(text: string): string[] {
  const [, name, list] = /^local (?:function (\w+)|([\w, ]+?)(?: =|$))/.exec(text) ?? [];
  return name === undefined ? (list ?? '').split(', ').filter((each) => each !== '') : [name];
}
