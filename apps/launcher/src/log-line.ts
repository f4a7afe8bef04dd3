const LEVELS: Readonly<Record<number, string>> = {
  10: 'trace',
  20: 'debug',
  30: 'info',
  40: 'warn',
  50: 'error',
  60: 'fatal',
};
const RED = '\u001b[31m';
const YELLOW = '\u001b[33m';
const PLAIN = '\u001b[39m';
/** Told by the line's other parts, or of no use to a person. */
const HIDDEN = new Set(['level', 'time', 'pid', 'name', 'msg', 'err', 'hostname']);

/**
 * A JSON log line as one line for a person (an error's stack below it); any other line as it is.
 * @param source the process it came from, e.g. `worker 2`
 */
export function formatLogLine(line: string, source: string, colors: boolean): string {
  const entry = parseEntry(line);
  if (entry === undefined) return `${source.padEnd(9)} ${line}`;
  const time = new Date(entry.time).toTimeString().slice(0, 8);
  const level = (LEVELS[entry.level] ?? String(entry.level)).padEnd(5);
  const fields = Object.entries(entry.fields)
    .filter(([key]) => !HIDDEN.has(key))
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  const { err } = entry.fields;
  const message = readText(err, 'message');
  if (message !== undefined) fields.push(`error=${message}`);
  const stack = entry.level >= 50 ? readText(err, 'stack') : undefined;
  const below = stack === undefined ? '' : stack.replace(/^/gm, '\n    ').replace(/\n\n/g, '\n');
  const paint = (text: string): string => {
    if (!colors || entry.level < 40) return text;
    return `${entry.level >= 50 ? RED : YELLOW}${text}${PLAIN}`;
  };
  return `${time} ${source.padEnd(9)} ${paint(level)} ${[entry.msg, ...fields].join('  ')}${below}`;
}

interface Entry {
  readonly level: number;
  readonly time: number;
  readonly msg: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

function parseEntry(line: string): Entry | undefined {
  if (!line.startsWith('{')) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const fields: Readonly<Record<string, unknown>> = { ...value };
  const { level, time, msg } = fields;
  if (typeof level !== 'number' || typeof time !== 'number') return undefined;
  return { level, time, msg: typeof msg === 'string' ? msg : '', fields };
}

function readText(value: unknown, key: 'message' | 'stack'): string | undefined {
  if (typeof value !== 'object' || value === null || !(key in value)) return undefined;
  const text: unknown = Object.entries(value).find(([name]) => name === key)?.[1];
  return typeof text === 'string' ? text : undefined;
}
