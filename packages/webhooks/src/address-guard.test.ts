import { describe, expect, test } from '@jest/globals';
import { AddressGuard, AddressRefused, type Address } from './address-guard.ts';

const hostOf = (host: string): string => new URL(`http://${host}/`).hostname;
const answer = (...addresses: string[]): (() => Promise<Address[]>) => {
  const found = addresses.map((address): Address => ({
    address,
    family: address.includes(':') ? 6 : 4,
  }));
  return () => Promise.resolve(found);
};
const resolved = async (guard: AddressGuard, host: string): Promise<string[]> =>
  (await guard.resolve(hostOf(host))).map(({ address }) => address);

describe('without an allowance', () => {
  const guard = new AddressGuard([]);

  test.each([
    ...[
      '127.0.0.1',
      '127.255.0.9',
      '0.0.0.0',
      '0.1.2.3',
      '10.1.2.3',
      '172.16.0.1',
      '172.31.255.255',
    ],
    ...['192.168.1.1', '169.254.169.254', '100.64.0.1', '192.0.0.8', '192.0.2.1', '198.18.0.1'],
    ...['198.51.100.7', '203.0.113.7', '224.0.0.1', '239.1.1.1', '240.0.0.1', '255.255.255.255'],
    // The same in the notations that URLs take.
    ...[
      '2130706433',
      '0x7f000001',
      '0x7f.1',
      '0177.0.0.1',
      '127.1',
      '127.0.0.1.',
      '%31%32%37.0.0.1',
    ],
    ...['[::1]', '[::]', '[fe80::1]', '[fc00::1]', '[fd12:3456::1]', '[ff02::1]', '[fec0::1]'],
    ...['[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[::127.0.0.1]', '[::ffff:0:127.0.0.1]'],
    ...[
      '[64:ff9b::7f00:1]',
      '[64:ff9b:1::7f00:1]',
      '[2002:7f00:1::]',
      '[2001::1]',
      '[2001:db8::1]',
    ],
    ...['[3fff::1]', '[100::1]', '[fd00:ec2::254]', '[5f00::1]'],
  ])('%s is refused, and at once', async (host) => {
    expect(guard.isRefusedAtOnce(hostOf(host))).toBe(true);
    await expect(guard.resolve(hostOf(host))).rejects.toThrow(AddressRefused);
  });

  test.each(['1.1.1.1', '172.32.0.1', '100.128.0.1', '[2606:4700::1111]', '[::ffff:1.1.1.1]'])(
    '%s is public',
    async (host) => {
      expect(guard.isRefusedAtOnce(hostOf(host))).toBe(false);
      expect(await resolved(guard, host)).toHaveLength(1);
    },
  );

  test('a name is judged by its addresses, and only those that are public are connected to', async () => {
    const mixed = new AddressGuard([], answer('10.0.0.1', '93.184.216.34', '::1', 'fe80::1%eth0'));
    expect(await resolved(mixed, 'mixed.example')).toEqual(['93.184.216.34']);
    const inside = new AddressGuard([], answer('192.168.0.5', '::ffff:10.0.0.1'));
    await expect(inside.resolve('inside.example')).rejects.toThrow(AddressRefused);
    expect(inside.isRefusedAtOnce('inside.example')).toBe(false);
  });

  test('names of this machine are refused as well', async () => {
    await expect(guard.resolve('localhost')).rejects.toThrow(AddressRefused);
    await expect(guard.resolve('LOCALHOST.')).rejects.toThrow(AddressRefused);
  });
});

describe('an allowance', () => {
  test('by address is for every name of it and every notation, and for nothing beside it', async () => {
    const guard = new AddressGuard(
      ['127.0.0.1', 'fd00::5'],
      answer('127.0.0.1', '127.0.0.2', 'fd00::5'),
    );
    expect(await resolved(guard, 'any.example')).toEqual(['127.0.0.1', 'fd00::5']);
    expect(await resolved(guard, '2130706433')).toEqual(['127.0.0.1']);
    expect(await resolved(guard, '[::ffff:7f00:1]')).toHaveLength(1);
    expect(guard.isRefusedAtOnce('127.0.0.2')).toBe(true);
  });

  test('by range', async () => {
    const guard = new AddressGuard(
      ['10.0.0.0/8', 'fc00::/7'],
      answer('10.9.9.9', '11.0.0.1', '172.16.0.1'),
    );
    expect(await resolved(guard, 'any.example')).toEqual(['10.9.9.9', '11.0.0.1']);
    expect(guard.isRefusedAtOnce('[fd00::1]')).toBe(false);
  });

  test('by name is for that name alone, in any spelling', async () => {
    const guard = new AddressGuard(['hooks.internal'], answer('192.168.0.5'));
    expect(await resolved(guard, 'HOOKS.internal.')).toEqual(['192.168.0.5']);
    await expect(guard.resolve('other.internal')).rejects.toThrow(AddressRefused);
    await expect(guard.resolve('x.hooks.internal')).rejects.toThrow(AddressRefused);
    expect(guard.isRefusedAtOnce('192.168.0.5')).toBe(true);
  });
});
