import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';

/**
 * Whether a request may come from the page that sent it. ComfyUI's rule: a request to a loopback
 * address whose Origin names another host is refused, so that no website can drive a local server; newer
 * versions refuse what the browser itself calls cross-site (WIRE.md 6.13, transcript 17).
 */
export function isOriginAllowed(headers: IncomingHttpHeaders): boolean {
  if (headers['sec-fetch-site'] === 'cross-site') return false;
  const { host, origin } = headers;
  if (host === undefined || origin === undefined) return true;
  const target = parse(`http://${host}`);
  const source = parse(origin);
  if (target === undefined || source === undefined) return true;
  if (!isLoopback(target.hostname)) return true;
  if (source.hostname !== target.hostname) return false;
  // An origin without a port (a proxy on 80 or 443) may stand before any port.
  return source.port === '' || source.port === target.port;
}

function parse(url: string): URL | undefined {
  return URL.canParse(url) ? new URL(url) : undefined;
}

function isLoopback(hostname: string): boolean {
  if (hostname === 'localhost' || hostname === '[::1]') return true;
  return isIP(hostname) === 4 && hostname.startsWith('127.');
}
