import { posix } from 'node:path';
import { AppError } from '@tiercel/contracts';
import { toSlashes } from './safe-path.ts';

export interface PrefixValues {
  readonly now: Date;
  /** Pixels; ComfyUI writes 0 when a node does not say. */
  readonly width: number;
  readonly height: number;
}

/**
 * Fills the placeholders of a `filename_prefix`: `%year% %month% %day% %hour% %minute% %second%
 * %width% %height%` as ComfyUI's server does, and `%date:FORMAT%` as its frontend does for prompts
 * that come from there. Times are local times; unknown placeholders stay as they are.
 */
export function expandPrefix(prefix: string, values: PrefixValues): string {
  if (!prefix.includes('%')) return prefix;
  const { now } = values;
  const known: Readonly<Record<string, string>> = {
    year: String(now.getFullYear()),
    month: twoDigits(now.getMonth() + 1),
    day: twoDigits(now.getDate()),
    hour: twoDigits(now.getHours()),
    minute: twoDigits(now.getMinutes()),
    second: twoDigits(now.getSeconds()),
    width: String(values.width),
    height: String(values.height),
  };
  return prefix
    .replace(/%date:([^%]+)%/g, (_, format: string) => formatDate(format, now))
    .replace(/%([a-z]+)%/g, (whole, name: string) => known[name] ?? whole);
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}

/** d, M, h, m, s: unpadded once, padded to two digits when doubled; yy and yyyy: the year. */
function formatDate(format: string, date: Date): string {
  const fields: Readonly<Record<string, number>> = {
    d: date.getDate(),
    M: date.getMonth() + 1,
    h: date.getHours(),
    m: date.getMinutes(),
    s: date.getSeconds(),
  };
  return format.replace(/yyyy|yy|dd?|MM?|hh?|mm?|ss?/g, (token) => {
    if (token === 'yyyy') return String(date.getFullYear());
    if (token === 'yy') return String(date.getFullYear()).slice(2);
    return String(fields[token.charAt(0)] ?? token).padStart(token.length, '0');
  });
}

/**
 * Splits an expanded prefix into folder and name stem: "sub/dir/pre" -> "sub/dir" and "pre".
 * Backslashes separate too, so that prefixes written on Windows make folders and not odd names.
 * @throws AppError path_refused when the prefix leads out of its folder
 */
export function splitPrefix(prefix: string): { subfolder: string; stem: string } {
  const path = posix.normalize(toSlashes(prefix));
  if (/^(?:[a-z]:)?\//i.test(path) || path === '..' || path.startsWith('../')) {
    throw new AppError('path_refused', 'The file name prefix leads out of its folder.');
  }
  const trimmed = path.replace(/\/+$/, '');
  const folder = posix.dirname(trimmed);
  return { subfolder: folder === '.' ? '' : folder, stem: posix.basename(trimmed) };
}

/**
 * `stem_00001_.png`: five digits and a trailing underscore, as ComfyUI's save nodes write it.
 * @param ending what follows the digits, extension included
 */
export function outputName(stem: string, counter: number, ending: string): string {
  return `${stem}_${String(counter).padStart(5, '0')}${ending}`;
}

/**
 * The counter inside an existing file name, 0 if it has none. Whatever follows the digits, they count, so that
 * all files of a stem share one sequence (ComfyUI counts those before `_` or `.`, savers of extensions any).
 */
export function counterOf(name: string, stem: string): number {
  if (!name.startsWith(`${stem}_`)) return 0;
  const digits = /^\d+/.exec(name.slice(stem.length + 1))?.[0];
  const counter = Number(digits ?? 0);
  return Number.isSafeInteger(counter) ? counter : 0;
}
