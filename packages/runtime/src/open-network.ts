import { lookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';
import { AppError } from '@tiercel/contracts';
import type { Config } from './config/load.ts';

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

/**
 * Who lets everybody in must not do so by accident: an API that other machines reach is started without keys only
 * when the configuration says that this is meant.
 * @throws AppError config_invalid
 */
export async function requireClosedNetwork({
  host,
  auth,
}: Pick<Config, 'host' | 'auth'>): Promise<void> {
  if (auth.mode !== 'open' || auth.allowOpenNetwork || (await isLoopbackHost(host))) return;
  throw new AppError(
    'config_invalid',
    `HOST is ${host}, which other machines may reach, and auth.mode is open: everybody who reaches the port could use ` +
      'the service and read all jobs and files. Set auth.mode to required (npm run keys -- create makes a key) or ' +
      'optional; or HOST=127.0.0.1; or, when this is meant, as behind a proxy that checks who asks, ' +
      'auth.allowOpenNetwork: true in the configuration file.',
  );
}

/** Whether only this machine reaches what listens there; a name counts by the addresses it has. */
async function isLoopbackHost(host: string): Promise<boolean> {
  if (isIP(host) !== 0) return isLoopback(host);
  if (host === 'localhost') return true;
  try {
    const found = await lookup(host, { all: true });
    return found.length > 0 && found.every(({ address }) => isLoopback(address));
  } catch {
    return false;
  }
}

function isLoopback(address: string): boolean {
  return LOOPBACK.check(address.replace(/%.*$/, ''), isIP(address) === 4 ? 'ipv4' : 'ipv6');
}
