import { createHash, randomBytes } from 'node:crypto';

const SECRET_BYTES = 32;
const KEY_TEXT = /^tk_[\w-]{43}$/;

/** A new API key: `tk_` and 256 random bits in base64url. Nobody guesses one, so failed tries need no limit. */
export function makeKeyText(): string {
  return `tk_${randomBytes(SECRET_BYTES).toString('base64url')}`;
}

/** Whether a text can be an API key. */
export function isKeyText(text: string): boolean {
  return KEY_TEXT.test(text);
}

/**
 * What is stored of a key, and what it is found by. A plain SHA-256 is enough for 256 random bits: there is no
 * dictionary to try. Who watches how long a look-up takes learns of hashes, which he cannot choose.
 */
export function hashKeyText(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}
