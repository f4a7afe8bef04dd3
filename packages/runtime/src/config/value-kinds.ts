import { z } from 'zod';

/** Kinds of values that many settings have; each with its default. */
export const ms = (value: number) => z.number().int().positive().default(value);
export const bytes = (value: number) => z.number().int().positive().default(value);
export const count = (value: number) => z.number().int().positive().default(value);

export const MIB = 1024 * 1024;
/** Pixels of one picture: 6,144 x 4,096, which holds the usual photos of phones and cameras. */
export const MAX_PIXELS = 24 * MIB;

const ORIGIN_MESSAGE =
  'must be an origin such as https://pages.example, without a path, or * or null';

/** What `Access-Control-Allow-Origin` may be: it goes into a header, and a browser compares it letter by letter. */
export const origin = z
  .string()
  .regex(/^(?:\*|null|[a-z][a-z\d+.-]*:\/\/[\w.:[\]-]+\/?)$/i, {
    error: ORIGIN_MESSAGE,
    abort: true,
  })
  .refine((text) => ['*', 'null'].includes(text) || URL.canParse(text), {
    error: ORIGIN_MESSAGE,
    abort: true,
  })
  // As browsers write it: no default port, nothing after the host, lower case.
  .overwrite((text) => (/^https?:/i.test(text) ? new URL(text).origin : text.replace(/\/$/, '')));

/** A name that a Host header may have: without a port, which may be any. */
export const hostName = z
  .string()
  .regex(
    /^(?:\*|[\w-]+(?:\.[\w-]+)*\.?|\[[\da-f:.]+\])$/i,
    'must be a host name or an address, without scheme and port, or *',
  );

/** What goes into a header of a request: a line break in it, as a file that held a key leaves one, would end the header. */
export const HEADER_TEXT = /^[\x21-\x7e]+$/;

/** Without slashes at its end. */
export const serverUrl = z
  .string()
  .regex(/^https?:\/\/\S+$/, 'must be an http:// or https:// URL')
  .overwrite((url) => url.replace(/\/+$/, ''));
