import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { ADDRESS_TENANT } from '@tiercel/contracts';
import proxyAddr from 'proxy-addr';

export interface CallerAddresses {
  /** Whom a request comes from: the peer, or whom trusted proxies name. Without brackets, port and zone. */
  addressOf(req: IncomingMessage): string;
  /** Whether the caller's own connection is https, as a trusted proxy says. */
  isSecure(req: IncomingMessage): boolean;
}

/**
 * Who sends X-Forwarded-For may write what he likes, so it is read from its end: each hop is believed as long as the
 * one that names it is a trusted proxy, and the first that is not is the caller.
 * @param trustedProxies addresses, ranges, `loopback`, `linklocal`, `uniquelocal`
 */
export function createCallerAddresses(trustedProxies: readonly string[]): CallerAddresses {
  const isTrusted = proxyAddr.compile([...trustedProxies]);
  return {
    addressOf: (req) => {
      const hops = proxyAddr.all(req, isTrusted).map(parseAddress);
      // A proxy that names no address (`unknown`, a made-up word) is itself the last that is known.
      return hops.findLast((address) => address !== undefined) ?? '';
    },
    isSecure: (req) => {
      const [first] = [req.headers['x-forwarded-proto'] ?? ''].flat();
      const peer = req.socket.remoteAddress ?? '';
      return first?.split(',')[0]?.trim() === 'https' && peer !== '' && isTrusted(peer, 0);
    },
  };
}

/** `10.0.0.1`, `10.0.0.1:5678`, `[2001:db8::1]:5678`, `::ffff:10.0.0.1`: in one form for each address. */
function parseAddress(text: string | undefined): string | undefined {
  const trimmed = (text ?? '').trim();
  const [, inBrackets, v4] = /^\[([^\]]*)\](?::\d+)?$|^([\d.]+):\d+$/.exec(trimmed) ?? [];
  const address = (inBrackets ?? v4 ?? trimmed).replace(/%.*$/, '');
  switch (isIP(address)) {
    case 4:
      return address;
    case 6:
      return normalizeV6(address);
    default:
      return undefined;
  }
}

function normalizeV6(address: string): string {
  const short = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [, high, low] = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/.exec(short) ?? [];
  if (high === undefined || low === undefined) return short;
  const bytes = [high, low].map((group) => parseInt(group, 16)).flatMap((n) => [n >> 8, n & 255]);
  return bytes.join('.');
}

/**
 * The tenant of a caller without identity. Of IPv6 the first 64 bits count: a home or a rented machine has so many
 * addresses that it would never meet a limit.
 * @param address as `addressOf` tells it
 */
export function tenantOfAddress(address: string): string {
  if (isIP(address) !== 6) return `${ADDRESS_TENANT}${address}`;
  const [head = '', tail] = address.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array<string>(tail === undefined ? 0 : 8 - before.length - after.length).fill('0');
  const network = `${[...before, ...zeros, ...after].slice(0, 4).join(':')}::`;
  return `${ADDRESS_TENANT}${normalizeV6(network)}/64`;
}

/**
 * The tenant that callers of an address are; undefined for what is none.
 * @param text the address, or the network that it is in (`/64`)
 */
export function tenantOfText(text: string): string | undefined {
  const address = parseAddress(text.replace(/\/64$/, ''));
  return address === undefined ? undefined : tenantOfAddress(address);
}
