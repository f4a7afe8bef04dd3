import { Buffer } from 'node:buffer';
import { frameText } from './event-log.ts';
import { stringifyJson } from './json.ts';

interface Cut {
  /** Characters of a text, and of a member's name. */
  readonly characters: number;
  /** Entries of a list, members of an object. */
  readonly entries: number;
}

/** One after the other until the frame fits. */
const CUTS: readonly Cut[] = [
  { characters: 10_000, entries: 1_000 },
  { characters: 500, entries: 50 },
];
/** What is left when even that is too much: ids and words, so that an end is still an end. */
const SKELETON: Cut = { characters: 1_024, entries: 30 };
const MAX_TYPE_CHARACTERS = 256;

/**
 * A frame of no more than about `maxBytes`: Redis drops a subscriber that is behind by 32 MB, and with it
 * what others wait for. What is over it is cut: long texts say so at their end, long lists and objects
 * lose their tail, and `data.tiercel_cut` is true. History has the whole.
 */
export function boundedFrame(type: string, data: object, maxBytes: number): string {
  const whole = tryWrite(type, data);
  if (whole !== undefined && fits(whole, maxBytes)) return whole;
  const name = type.slice(0, MAX_TYPE_CHARACTERS);
  for (const limits of CUTS) {
    const frame = write(name, { ...cutMembers(data, limits, cutValue), tiercel_cut: true });
    if (fits(frame, maxBytes)) return frame;
  }
  return write(name, { ...cutMembers(data, SKELETON, emptyValue), tiercel_cut: true });
}

function write(type: string, data: object): string {
  return frameText(type, data, stringifyJson);
}

/** Undefined for what is longer than a string can be. */
function tryWrite(type: string, data: object): string | undefined {
  try {
    return write(type, data);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function fits(text: string, maxBytes: number): boolean {
  // No character takes more than three bytes: most frames need not be counted.
  return text.length * 3 <= maxBytes || Buffer.byteLength(text) <= maxBytes;
}

function cutMembers(
  data: object,
  limits: Cut,
  cut: (value: unknown, limits: Cut) => unknown,
): Record<string, unknown> {
  const kept = Object.entries(data).filter(([name]) => name.length <= limits.characters);
  return Object.fromEntries(
    kept.slice(0, limits.entries).map(([name, value]) => [name, cut(value, limits)]),
  );
}

function cutValue(value: unknown, limits: Cut): unknown {
  if (typeof value === 'string') return cutText(value, limits.characters);
  if (Array.isArray(value)) {
    return value.slice(0, limits.entries).map((item: unknown) => cutValue(item, limits));
  }
  if (typeof value !== 'object' || value === null) return value;
  return cutMembers(value, limits, cutValue);
}

/** Lists and objects stay what they are, without what is in them: readers rely on the shape. */
function emptyValue(value: unknown, limits: Cut): unknown {
  if (typeof value === 'string') return cutText(value, limits.characters);
  if (Array.isArray(value)) return [];
  return typeof value === 'object' && value !== null ? {} : value;
}

function cutText(text: string, characters: number): string {
  if (text.length <= characters) return text;
  return `${text.slice(0, characters)}… [cut; ${text.length} characters in all]`;
}
