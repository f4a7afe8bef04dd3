import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { AppError } from '@tiercel/contracts';

export interface CallerCheckOptions {
  /** Whether the address listened on is a loopback one; asked at each request. */
  readonly isOnLoopback: () => boolean;
  /** Names this server is reached by, at any port, besides those of the loopback; `*` for any name. */
  readonly allowedHosts: readonly string[];
  /** The one foreign origin that is let in; `*` for all, `null` for pages without an origin. */
  readonly corsOrigin: string | undefined;
}

/** Why a request (or an upgrade) is refused before anything else is looked at; undefined: it is not. */
export type CallerCheck = (req: IncomingMessage) => AppError | undefined;

/** Methods that change nothing here, so that a page of another site gains nothing by sending them. */
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * Keeps pages of other sites from driving this server through the browser of somebody who can reach it.
 *
 * - The Host header must be a name of this server, or a name that an attacker has pointed at it (DNS
 *   rebinding) would make his page one of ours. On a loopback address those are the loopback literals and
 *   `localhost`; on others nobody but the operator knows the names, so they are checked once he lists them.
 * - What changes something, and a WebSocket, must not come from a page of another origin or of none
 *   (`null`). Programs send no Origin.
 * - As ComfyUI: nothing is answered when a loopback address is asked with another site's Origin, or the
 *   browser itself says `cross-site` (wire 1.7).
 */
export function createCallerCheck(options: CallerCheckOptions): CallerCheck {
  const { corsOrigin } = options;
  const listed = new Set(options.allowedHosts.map((name) => parseHost(name)?.hostname));
  const isAnyHost = options.allowedHosts.includes('*');

  const isOwnHost = ({ hostname }: URL): boolean => {
    if (isAnyHost || isLoopbackName(hostname) || listed.has(hostname)) return true;
    if (options.isOnLoopback()) return false;
    // No name server can lie about an address.
    return options.allowedHosts.length === 0 || isAddress(hostname);
  };

  const isOwnOrigin = (origin: string, host: URL | undefined): boolean => {
    const source = parseOrigin(origin);
    if (source === undefined || host === undefined) return false;
    if (listed.has(source.hostname)) return true;
    // An origin without a port (a proxy on 80 or 443) may stand before any port.
    return source.hostname === host.hostname && (source.port === '' || source.port === host.port);
  };

  return (req) => {
    const { host: hostHeader, origin, 'sec-fetch-site': site } = req.headers;
    if (hostHeader === undefined && req.httpVersion === '1.1') {
      return new AppError('bad_request', 'The request has no Host header.');
    }
    const host = hostHeader === undefined ? undefined : parseHost(hostHeader);
    if (hostHeader !== undefined && (host === undefined || !isOwnHost(host))) {
      return new AppError(
        'host_refused',
        `${JSON.stringify(hostHeader)} is not known as a name of this server. When it is one, such as that ` +
          'of a proxy before it, list it in api.allowedHosts of tiercel.config.yaml.',
      );
    }
    const isSafe = SAFE_METHODS.has(req.method ?? '') && req.headers.upgrade === undefined;
    if (corsOrigin === '*' || (corsOrigin !== undefined && (isSafe || origin === corsOrigin))) {
      return undefined;
    }
    if (site === 'cross-site') return refuseOrigin(origin);
    if (origin !== undefined) {
      if (isOwnOrigin(origin, host)) return undefined;
      const isComfyUiRefusal =
        host !== undefined && isLoopbackName(host.hostname) && parseOrigin(origin) !== undefined;
      return isSafe && !isComfyUiRefusal ? undefined : refuseOrigin(origin);
    }
    // A browser that names no origin (some extensions take it away) still tells where the page is.
    if (isSafe || site === undefined || site === 'same-origin' || site === 'none') return undefined;
    return refuseOrigin(undefined);
  };
}

function refuseOrigin(origin: string | undefined): AppError {
  const whose = origin === undefined ? 'another site' : JSON.stringify(origin);
  return new AppError(
    'origin_refused',
    `Pages of ${whose} may not use this server. To let one origin in, name it in api.corsOrigin of ` +
      'tiercel.config.yaml; when it is this server behind a proxy, list its name in api.allowedHosts.',
  );
}

/** A Host header or a listed name; undefined when it is more, or other, than a host and a port. */
function parseHost(text: string): URL | undefined {
  if (!/^[^\s/\\?#@%]+$/.test(text) || !URL.canParse(`http://${text}`)) return undefined;
  return new URL(`http://${text}`);
}

/** undefined for `null` and for what has no host, such as `file://`. */
function parseOrigin(text: string): URL | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  return url.hostname === '' ? undefined : url;
}

/**
 * Whether a host is another machine to each machine that reads it. As URL writes it: all spellings of an address
 * (`127.1`, `0x7f000001`, `[0:0:0:0:0:0:0:1]`) are one.
 */
export function isLoopbackName(hostname: string): boolean {
  return hostname === 'localhost' || isLoopbackAddress(hostname.replace(/^\[|\]$/g, ''));
}

export function isLoopbackAddress(address: string): boolean {
  return address === '::1' || (isIP(address) === 4 && address.startsWith('127.'));
}

function isAddress(hostname: string): boolean {
  return isIP(hostname.replace(/^\[|\]$/g, '')) !== 0;
}
