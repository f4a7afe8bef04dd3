import { z } from 'zod';

const SECOND_MS = 1_000;
export const MINUTE_MS = 60 * SECOND_MS;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

/**
 * Longer than any job, pause or answer that makes sense; a number over it is a slip of units. (Far longer ones
 * would also be more than timers and BullMQ can count.)
 */
export const LONGEST_JOB_MS = 7 * DAY_MS;

/** A whole number of milliseconds from 1. */
export const duration = (maxMs: number) => atMost(z.number().int().positive(), maxMs, maxMs);

/** A number that stands for a time: what is over `max` is refused in words that a person understands. */
export const atMost = (number: z.ZodNumber, max: number, maxMs: number) =>
  number.max(max, `must be at most ${max} (${inWords(maxMs)})`);

function inWords(timeMs: number): string {
  const units = { year: 365 * DAY_MS, day: DAY_MS, hour: HOUR_MS, minute: MINUTE_MS };
  for (const [unit, unitMs] of Object.entries(units)) {
    const count = timeMs / unitMs;
    if (count >= 1) return `${count} ${unit}${count === 1 ? '' : 's'}`;
  }
  return `${timeMs / SECOND_MS} seconds`;
}

/** Kinds of values that many settings have; each with its default. */
export const ms = (value: number, maxMs: number) => duration(maxMs).default(value);
export const bytes = (value: number) => z.number().int().positive().default(value);
export const count = (value: number) => z.number().int().positive().default(value);

export const MIB = 1024 * 1024;
/** Pixels of one picture: 6,144 x 4,096, which holds the usual photos of phones and cameras. */
export const MAX_PIXELS = 24 * MIB;

/** A short name that turns up in keys, metrics and reports. */
export const shortName = z
  .string()
  .regex(/^[\w.-]{1,64}$/, 'must be 1 to 64 letters, digits, dots, dashes or underscores');
