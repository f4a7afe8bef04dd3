import { createHmac } from 'node:crypto';

const MARK_LENGTH = 8;

/**
 * What a server is called wherever it is written down (keys of Redis, notes on records, announcements): its URL without
 * the login in it. Behind `#` a mark of the whole URL tells two logins on one host apart, and is the same in every
 * process of the installation. It is made with the installation's secret key, so that nobody can try passwords on it.
 * A URL without a login is its own name.
 */
export function toPublicUrl(url: string, secretKey: Uint8Array): string {
  if (!URL.canParse(url)) return url;
  const parsed = new URL(url);
  if (parsed.username === '' && parsed.password === '') return url;
  const mark = createHmac('sha256', secretKey).update(parsed.href).digest('hex');
  parsed.username = '';
  parsed.password = '';
  parsed.hash = mark.slice(0, MARK_LENGTH);
  return parsed.href;
}
