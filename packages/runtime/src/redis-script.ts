import { loadLua } from './load-lua.ts';
import type { Redis } from './redis.ts';

type ScriptValue = string | number | Buffer;

type Values<Key extends string, List extends string> = Readonly<Record<Key, ScriptValue>> &
  Readonly<Record<List, readonly ScriptValue[]>>;

export interface ScriptDefinition<Key extends string, List extends string, Reply> {
  /** `import.meta.url` of the wrapper `<name>.ts`: the script is `<name>.lua` beside it. */
  readonly wrapper: string;
  /** Names of KEYS, in order: a script whose keys depend on records that it reads has none. */
  readonly keys?: readonly Key[];
  /** Names of ARGV, in order. */
  readonly args: readonly Key[];
  /** The rest of ARGV: a list under one name. */
  readonly list?: List;
  readonly parse: (reply: unknown) => Reply;
}

type Call = (...args: ScriptValue[]) => Promise<unknown>;

/**
 * A Lua script as a command of a connection, with arguments by name and a reply with a type.
 *
 * The script is a file of its own (see loadLua). Its header numbers and explains keys and arguments, which are
 * locals of their names in the text below it.
 *
 * ioredis sends the text (EVAL) as the first use of each connection and the hash from then on. So no script is
 * unknown after a restart of Redis, and commands stay in the order in which they were given: an EVALSHA that
 * fails and is sent again as EVAL would be overtaken by what was given after it.
 *
 * A connection that breaks before the reply sends the command again. Each script is written to bear that: the
 * second time it changes nothing and answers as it did the first time.
 */
export class RedisScript<Key extends string, Reply, List extends string = never> {
  /** Unique in the house. */
  readonly name: string;
  readonly keys: readonly Key[];
  readonly args: readonly Key[];
  readonly list: List | undefined;
  /** The text as Redis gets it. */
  readonly source: string;
  readonly #parse: (reply: unknown) => Reply;

  /** @throws Error when the script is missing, or its header names other keys and arguments than the wrapper */
  constructor(definition: ScriptDefinition<Key, List, Reply>) {
    const { wrapper, keys = [], args, list, parse } = definition;
    const { name, text } = loadLua(wrapper);
    // In a running service the source can be newer than the build: after an update, before it is built.
    const [said, given] = [numberedNames(text), numberNames(keys, args, list)];
    if (said.join() !== given.join()) {
      throw new Error(
        `The header of ${name}.lua says "${said.join(', ')}", its wrapper gives "${given.join(', ')}". ` +
          'One of them was changed without the other, or without a build.',
      );
    }
    this.name = `tiercel.${name}`;
    this.keys = keys;
    this.args = args;
    this.list = list;
    this.source = `${declareLocals(keys, args, list)}\n${text}\n`;
    this.#parse = parse;
  }

  async run(redis: Redis, values: Values<Key, List>): Promise<Reply> {
    const args: ScriptValue[] = [];
    for (const key of this.keys) args.push(values[key]);
    for (const arg of this.args) args.push(values[arg]);
    if (this.list !== undefined) for (const item of values[this.list]) args.push(item);
    // ioredis' types do not know commands that are defined at run time.
    const commands = redis as unknown as Record<string, Call | undefined>;
    if (commands[this.name] === undefined) {
      redis.defineCommand(this.name, { lua: this.source, numberOfKeys: this.keys.length });
    }
    return this.#parse(await commands[this.name]?.(...args));
  }
}

/** `ARGV[1] prefix` and so on, as the comment at the top of a script has them. */
function numberedNames(text: string): string[] {
  const lines = text.split('\n');
  const header = lines.slice(
    0,
    lines.findIndex((line) => !line.startsWith('--')),
  );
  return header.flatMap((line) => /^-- ((?:KEYS|ARGV)\[\d+(?:\.\.)?\] \w+)/.exec(line)?.[1] ?? []);
}

function numberNames(
  keys: readonly string[],
  args: readonly string[],
  list: string | undefined,
): string[] {
  return [
    ...keys.map((key, i) => `KEYS[${i + 1}] ${key}`),
    ...args.map((arg, i) => `ARGV[${i + 1}] ${arg}`),
    ...(list === undefined ? [] : [`ARGV[${args.length + 1}..] ${list}`]),
  ];
}

/** One line, above the text. */
function declareLocals(
  keys: readonly string[],
  args: readonly string[],
  list: string | undefined,
): string {
  const names = [...keys, ...args];
  const values = [...keys.map((_, i) => `KEYS[${i + 1}]`), ...args.map((_, i) => `ARGV[${i + 1}]`)];
  if (list !== undefined) {
    names.push(list);
    values.push(`{ unpack(ARGV, ${args.length + 1}) }`);
  }
  return names.length === 0 ? '' : `local ${names.join(', ')} = ${values.join(', ')}`;
}
