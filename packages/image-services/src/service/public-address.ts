import { lookup as lookupAddresses, type LookupAddress } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';

/** What IANA's registries of special addresses keep out of the public internet. */
const PRIVATE_V4 = listNets('ipv4', [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16'],
  ...['172.16.0.0/12', '192.0.0.0/24', '192.0.2.0/24', '192.88.99.0/24', '192.168.0.0/16'],
  ...['198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/4', '240.0.0.0/4'],
]);
/** A list of its own: IPv4 addresses would count as what `::ffff:` maps them to. */
const PRIVATE_V6 = listNets('ipv6', [
  // Unspecified, loopback, and IPv4 in IPv6's clothes.
  ...['::/96', '::ffff:0:0/96', '64:ff9b::/96', '64:ff9b:1::/48', '2002::/16'],
  ...['100::/64', '2001::/23', '2001:db8::/32', 'fc00::/7', 'fe80::/10', 'fec0::/10', 'ff00::/8'],
]);

function listNets(family: 'ipv4' | 'ipv6', nets: readonly string[]): BlockList {
  const list = new BlockList();
  for (const net of nets) {
    const [address = '', bits] = net.split('/');
    list.addSubnet(address, Number(bits), family);
  }
  return list;
}

/** Whether anybody on the internet could mean this address. */
export function isPublicAddress(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !PRIVATE_V4.check(address, 'ipv4');
    case 6:
      return !PRIVATE_V6.check(address, 'ipv6');
    default:
      return false;
  }
}

/** An address that a request was kept from. */
export class RefusedAddress extends Error {
  constructor() {
    super('the address is not allowed');
    this.name = 'RefusedAddress';
  }
}

/**
 * Finds addresses as the system does and gives them out only when every one of them is allowed. The connection is
 * made to what was checked: a name cannot change its mind in between.
 */
export function createGuardedLookup(isAllowed: (address: string) => boolean): LookupFunction {
  return (hostname, options, callback) => {
    lookupAddresses(hostname, { ...options, all: true }, (error, found: LookupAddress[]) => {
      if (error !== null) {
        callback(error, '', 0);
        return;
      }
      const [first] = found;
      if (first === undefined || !found.every(({ address }) => isAllowed(address))) {
        callback(new RefusedAddress(), '', 0);
      } else if (options.all === true) callback(null, found);
      else callback(null, first.address, first.family);
    });
  };
}
