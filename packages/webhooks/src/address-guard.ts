import { lookup, Resolver } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { BlockList, isIP } from 'node:net';

/** IPv4 that is not the public internet (the registry of special-purpose addresses). */
const SPECIAL_V4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.31.196.0', 24],
  ['192.52.193.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['192.175.48.0', 24],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  // Multicast, reserved, broadcast.
  ['224.0.0.0', 3],
];
/** Of IPv6 only this is public, but for what follows: all else is loopback, private, mapped, translated. */
const PUBLIC_V6: readonly [string, number] = ['2000::', 3];
const SPECIAL_V6: readonly (readonly [string, number])[] = [
  // Protocol assignments: Teredo, benchmarks, ORCHID, AMT and others.
  ['2001::', 23],
  ['2001:db8::', 32],
  // 6to4: an IPv4 address that nobody checks.
  ['2002::', 16],
  ['2620:4f:8000::', 48],
  ['3fff::', 20],
];

export interface Address {
  readonly address: string;
  readonly family: 4 | 6;
}

export type Lookup = (hostname: string) => Promise<readonly Address[]>;

/** A receiver that must not be reached. */
export class AddressRefused extends Error {
  constructor() {
    super('The receiver is in a private network; webhooks.allow does not name it.');
    this.name = 'AddressRefused';
  }
}

const RESOLVE_TIMEOUT_MS = 3_000;

/** As all programs of this machine resolve names. */
const lookupBySystem: Lookup = async (hostname) => {
  const found = await lookup(bareName(hostname), { all: true });
  return found.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }));
};

/**
 * The system's lookup takes one of a few threads until the name's servers have answered, and whoever names a slow
 * one would hold up the files and the backends of this process. So strangers' names are asked for without a thread,
 * but for those that this machine knows by itself.
 */
const lookupStrangers: Lookup = async (hostname) => {
  if (await isInHostsFile(hostname)) return await lookupBySystem(hostname);
  const resolver = new Resolver({ timeout: RESOLVE_TIMEOUT_MS, tries: 2 });
  const [v4, v6] = await Promise.allSettled([
    resolver.resolve4(hostname),
    resolver.resolve6(hostname),
  ]);
  const found: Address[] = [];
  if (v4.status === 'fulfilled') for (const address of v4.value) found.push({ address, family: 4 });
  if (v6.status === 'fulfilled') for (const address of v6.value) found.push({ address, family: 6 });
  if (found.length === 0 && v4.status === 'rejected') throw v4.reason;
  return found;
};

async function isInHostsFile(hostname: string): Promise<boolean> {
  const name = bareName(hostname);
  if (/(^|\.)localhost$/.test(name)) return true;
  const text = await readFile('/etc/hosts', 'utf8').catch(() => '');
  return text.split('\n').some((line) => {
    const [, ...names] = (line.split('#')[0] ?? '').trim().split(/\s+/);
    return names.some((each) => bareName(each) === name);
  });
}

/**
 * Where webhooks may be delivered to: public addresses, and what `webhooks.allow` names. It decides by the address
 * that will be connected to, not by the name: a name may mean another address a moment later.
 */
export class AddressGuard {
  readonly #names: ReadonlySet<string>;
  readonly #allowed = new BlockList();
  readonly #specialV4 = listOf(SPECIAL_V4, 'ipv4');
  readonly #publicV6 = listOf([PUBLIC_V6], 'ipv6');
  readonly #specialV6 = listOf(SPECIAL_V6, 'ipv6');
  readonly #lookup: Lookup | undefined;

  /**
   * @param allow host names, addresses, and ranges such as 10.0.0.0/8
   * @param resolve instead of the system's lookup and DNS
   */
  constructor(allow: readonly string[], resolve?: Lookup) {
    this.#lookup = resolve;
    const names = allow.filter((entry) => isIP(entry.split('/')[0] ?? '') === 0);
    this.#names = new Set(names.map(bareName));
    for (const entry of allow) {
      const [address = '', bits] = entry.split('/');
      const family = isIP(address);
      if (family === 0) continue;
      const type = family === 6 ? 'ipv6' : 'ipv4';
      if (bits === undefined) this.#allowed.addAddress(address, type);
      else this.#allowed.addSubnet(address, Number(bits), type);
    }
  }

  /**
   * The addresses of a host that may be connected to.
   * @param hostname as URL has it: numbers in any notation are IPv4 by then, IPv6 is in brackets
   * @throws AddressRefused when it has none; the error of the lookup
   */
  async resolve(hostname: string): Promise<readonly Address[]> {
    const literal = readLiteral(hostname);
    const isNamed = this.#names.has(bareName(hostname));
    const ask = this.#lookup ?? (isNamed ? lookupBySystem : lookupStrangers);
    const found = literal === undefined ? await ask(hostname) : [literal];
    if (isNamed) return found;
    const allowed = found.filter((address) => this.#isAllowed(address));
    if (allowed.length === 0) throw new AddressRefused();
    return allowed;
  }

  /** Whether a host can be refused without a lookup: it is an address. */
  isRefusedAtOnce(hostname: string): boolean {
    if (this.#names.has(bareName(hostname))) return false;
    const literal = readLiteral(hostname);
    return literal !== undefined && !this.#isAllowed(literal);
  }

  #isAllowed({ address, family }: Address): boolean {
    const v4 = family === 4 ? address : mappedV4(address);
    if (v4 !== undefined) {
      return this.#allowed.check(v4, 'ipv4') || !this.#specialV4.check(v4, 'ipv4');
    }
    const plain = address.split('%')[0] ?? '';
    if (this.#allowed.check(plain, 'ipv6')) return true;
    return this.#publicV6.check(plain, 'ipv6') && !this.#specialV6.check(plain, 'ipv6');
  }
}

function listOf(ranges: readonly (readonly [string, number])[], type: 'ipv4' | 'ipv6'): BlockList {
  const list = new BlockList();
  for (const [address, bits] of ranges) list.addSubnet(address, bits, type);
  return list;
}

function readLiteral(hostname: string): Address | undefined {
  const address = hostname.replace(/^\[|\]$/g, '');
  const family = isIP(address);
  return family === 4 || family === 6 ? { address, family } : undefined;
}

/** `::ffff:1.2.3.4` in either notation is 1.2.3.4 to the machine that connects. */
function mappedV4(address: string): string | undefined {
  // URL writes every IPv6 address in its one short form.
  const [plain = ''] = address.split('%');
  const short = new URL(`http://[${plain}]/`).hostname.slice(1, -1);
  const [, high, low] = /^::ffff:([\da-f]+):([\da-f]+)$/.exec(short) ?? [];
  if (high === undefined || low === undefined) return undefined;
  const [a, b] = [parseInt(high, 16), parseInt(low, 16)];
  return [a >> 8, a & 255, b >> 8, b & 255].join('.');
}

/** As written in lower case, without the dot that ends a full name. */
function bareName(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}
