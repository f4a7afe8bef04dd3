import { isIP } from 'node:net';
import { z } from 'zod';

/*
 * Addresses and what is sent as part of a header. A value that only fails when it is used fails far from the line
 * that is wrong: in a worker that cannot reach its servers, or in every answer. So they are taken apart here, and each
 * refusal says what to write. None repeats the value: it may hold a password.
 */

const UNREADABLE =
  'cannot be read as a URL: it is http://host:port/path with a port up to 65535, an IPv6 address in [brackets], and in a user or password @ as %40, : as %3A, / as %2F, ? as %3F, # as %23';

/** The address of a server, without slashes at its end. */
export const serverUrl = z
  .string()
  .regex(/^https?:\/\/\S+$/, {
    error: 'must be an http:// or https:// URL without blanks',
    abort: true,
  })
  .superRefine((url, context) => {
    refuse(context, findServerUrlProblem(url));
  })
  .overwrite((url) => url.replace(/\/+$/, ''));

/** The same for a ComfyUI server, whose own paths and queries are put behind it. */
export const comfyUiUrl = serverUrl.superRefine((url, context) => {
  refuse(context, findQueryProblem(url));
});

function findServerUrlProblem(url: string): string | undefined {
  if (!URL.canParse(url)) return UNREADABLE;
  const { port, hash } = new URL(url);
  if (port === '0') return 'names port 0, which no server listens on';
  if (hash !== '' || url.endsWith('#')) return 'must not have a # part: servers are never sent it';
  return findLoginProblem(url);
}

/** Why a URL is not the address of a ComfyUI server. */
export function findQueryProblem(url: string): string | undefined {
  return url.includes('?')
    ? 'must not have a query (?...): it would not be sent to a ComfyUI server'
    : undefined;
}

function findLoginProblem(url: string): string | undefined {
  const { username, password } = new URL(url);
  try {
    decodeURIComponent(username);
    decodeURIComponent(password);
    return undefined;
  } catch {
    return 'has a % in its user or password that begins no escape: write it as %25';
  }
}

/** One name for all spellings of a server's address: `HTTP://A:80/` is `http://a`. */
export function normalizeUrl(url: string): string {
  return URL.canParse(url) ? new URL(url).href.replace(/\/+$/, '') : url;
}

/** `redis://[user:password@]host[:port][/db]`, the same with `rediss://`, or `unix:///path`. */
export const redisUrl = z
  .string()
  .regex(/^(rediss?|unix):\/\//, {
    error: 'must start with redis://, rediss:// or unix://',
    abort: true,
  })
  .superRefine((url, context) => {
    refuse(context, findRedisUrlProblem(url));
  });

function findRedisUrlProblem(url: string): string | undefined {
  if (url.startsWith('unix:')) {
    return /^unix:\/\/\/[^\0]/.test(url) ? undefined : 'must name a socket: unix:///path/to.sock';
  }
  if (/\s/.test(url)) return 'must not have blanks or line breaks';
  if (!URL.canParse(url)) return UNREADABLE.replace('http://host:port/path', 'redis://host:port');
  const { hostname, port, pathname, hash } = new URL(url);
  if (hostname === '') return 'names no host: write redis://host:port';
  if (port === '0') return 'names port 0, which no server listens on';
  if (!/^\/?\d*$/.test(pathname)) {
    return 'may have only the number of a database behind the host: redis://host:port/0';
  }
  if (hash !== '') return 'must not have a # part; in a password write it as %23';
  return findLoginProblem(url);
}

/** What a process listens on: an IP address, or a name. */
export const hostName = z
  .string()
  .refine(
    (host) => isIP(host) !== 0 || /^(?!.*\.\d+\.?$)[\w-]+(\.[\w-]+)*\.?$/.test(host),
    'must be an IP address or a host name alone, without http://, port or brackets',
  );

/** Why a text cannot be sent in a header as it is. */
export function findHeaderProblem(text: string): string | undefined {
  return /^[\x21-\x7e]+$/.test(text)
    ? undefined
    : 'is sent in a header: it must be printable ASCII without blanks and line breaks (a file often ends in one)';
}

/** A name that is sent to a service in a URL or in JSON. */
export const printableText = z
  .string()
  .regex(/^[^\p{Cc}]+$/u, 'must be a text without line breaks and other control characters');

const NO_ORIGIN =
  'must be *, null, or one origin such as https://example.com:8443, without a path and a second one';

/** What Access-Control-Allow-Origin can say: it goes into a header, and a browser compares it letter by letter. */
export const corsOrigin = z
  .string()
  .regex(/^(?:\*|null|[a-z][a-z\d+.-]*:\/\/[\w.:[\]-]+\/?)$/i, { error: NO_ORIGIN, abort: true })
  .refine((text) => ['*', 'null'].includes(text) || URL.canParse(text), {
    error: NO_ORIGIN,
    abort: true,
  })
  // As browsers write it: no default port, nothing after the host, lower case.
  .overwrite((text) => (/^https?:/i.test(text) ? new URL(text).origin : text.replace(/\/$/, '')));

/** A name that a Host header may have: without a port, which may be any. */
export const hostHeaderName = z
  .string()
  .regex(
    /^(?:\*|[\w-]+(?:\.[\w-]+)*\.?|\[[\da-f:.]+\])$/i,
    'must be a host name or an address, without scheme and port, or *',
  );

function refuse(context: z.RefinementCtx, problem: string | undefined): void {
  if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
}
