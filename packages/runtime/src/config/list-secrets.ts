import type { Config } from './load.ts';

/** Parameters of a URL whose value is a key. */
const SECRET_PARAMETER = /key|token|secret|passw|sig|auth|code/i;

/** Every value of the configuration that opens something: keys, passwords, logins in URLs. */
export function listSecrets({
  tiers,
  redisUrl,
  auth,
}: Pick<Config, 'tiers' | 'redisUrl'> & Partial<Pick<Config, 'auth'>>): string[] {
  const urls = tiers.flatMap(({ url, urls: servers }) => [
    ...(url === undefined ? [] : [url]),
    ...servers,
  ]);
  const keys = tiers.flatMap(({ driver, apiKey }) => {
    if (apiKey === undefined) return [];
    // A login: its password alone is as secret as both.
    return driver === 'automatic1111' ? [apiKey, apiKey.slice(apiKey.indexOf(':') + 1)] : [apiKey];
  });
  const adminKeys = auth?.adminKey === undefined ? [] : [auth.adminKey];
  return [...adminKeys, ...keys, ...[...urls, redisUrl ?? ''].flatMap(listUrlSecrets)];
}

function listUrlSecrets(url: string): string[] {
  if (!URL.canParse(url)) return [];
  const { username, password, searchParams } = new URL(url);
  const [user, word] = [decodeURIComponent(username), decodeURIComponent(password)];
  const parameters = [...searchParams].flatMap(([name, value]) =>
    SECRET_PARAMETER.test(name) ? [value] : [],
  );
  // A name without a password is a token.
  const login = word === '' ? [user] : [word, `${user}:${word}`];
  return [...login, ...parameters].filter((secret) => secret !== '');
}
