import { describe, expect, test } from '@jest/globals';
import { loadConfig } from './config/load.ts';
import { requireClosedNetwork } from './open-network.ts';

const configWith = (host: string, auth: Partial<ReturnType<typeof loadConfig>['auth']> = {}) => {
  const config = loadConfig({ TIERCEL_CONFIG: '/dev/null', HOST: host });
  return { host: config.host, auth: { ...config.auth, ...auth } };
};

describe('a start with auth.mode open', () => {
  test.each(['127.0.0.1', '127.8.7.6', '::1', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1', 'localhost'])(
    'is fine on %s, which only this machine reaches',
    async (host) => {
      await requireClosedNetwork(configWith(host));
    },
  );

  test.each([
    '0.0.0.0',
    '::',
    '10.0.0.7',
    '::ffff:10.0.0.7',
    'fe80::1%eth0',
    'no-such-name.invalid',
  ])('is refused on %s, with a sentence that says what to do', async (host) => {
    const refusal = requireClosedNetwork(configWith(host));
    await expect(refusal).rejects.toMatchObject({ code: 'config_invalid' });
    await expect(refusal).rejects.toThrow(/auth\.mode to required.*auth\.allowOpenNetwork: true/);
    await requireClosedNetwork(configWith(host, { allowOpenNetwork: true }));
  });
});

test.each(['optional', 'required'] as const)('auth.mode %s may listen anywhere', async (mode) => {
  await requireClosedNetwork(configWith('0.0.0.0', { mode }));
});
