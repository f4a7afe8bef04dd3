import { z } from 'zod';

/** Kinds of values that many settings have; each with its default. */
export const ms = (value: number) => z.number().int().positive().default(value);
export const bytes = (value: number) => z.number().int().positive().default(value);
export const count = (value: number) => z.number().int().positive().default(value);

export const MIB = 1024 * 1024;
/** Pixels of one picture: 6,144 x 4,096, which holds the usual photos of phones and cameras. */
export const MAX_PIXELS = 24 * MIB;

/** Without slashes at its end. */
export const serverUrl = z
  .string()
  .regex(/^https?:\/\/\S+$/, 'must be an http:// or https:// URL')
  .overwrite((url) => url.replace(/\/+$/, ''));
