import type { IncomingMessage } from 'node:http';
import { AppError } from '@tiercel/contracts';

/** What a request says of who sends it. */
export type Credential =
  | { readonly kind: 'none' }
  | { readonly kind: 'one'; readonly text: string; readonly isCookie: boolean }
  | { readonly kind: 'refused'; readonly error: AppError };

/** Of a page that came over https: with this start a browser takes it from no neighbouring domain. */
const SECURE_COOKIE = '__Host-tiercel_key';
const PLAIN_COOKIE = 'tiercel_key';
const TOKEN_PARAMETER = 'token';
/** Schemes of proxies before us; they are not for us. */
const FOREIGN_SCHEME = /^(basic|digest|negotiate|ntlm)\b/i;

/**
 * Reads who sends a request, and takes it off: whatever comes after this (logs, handlers, servers behind the proxy)
 * cannot tell what it does not know. Two words that differ are refused: something before us may have gone by the other
 * one. A cookie is sent by a browser unasked, so what is said beside it counts.
 */
export function takeCredential(req: IncomingMessage, isSecure: boolean): Credential {
  const { authorization = [], 'x-api-key': apiKeys = [] } = req.headersDistinct;
  const tokens = takeTokens(req);
  const cookies = takeCookies(req, isSecure ? SECURE_COOKIE : PLAIN_COOKIE);
  delete req.headers.authorization;
  delete req.headers['x-api-key'];

  const ours = authorization.filter((value) => !FOREIGN_SCHEME.test(value));
  const bearers = ours.map((value) => /^bearer +(.*)$/i.exec(value)?.[1]?.trim());
  if (bearers.includes(undefined)) {
    return refuse('Authorization must be: Bearer, a space, and an API key or a token.');
  }
  const said = new Set([...bearers, ...apiKeys.map((key) => key.trim()), ...tokens]);
  const [text, ...others] = said.size > 0 ? said : new Set(cookies);
  if (others.length > 0)
    return refuse('The request carries two different keys or tokens; send one.');
  return text === undefined ? { kind: 'none' } : { kind: 'one', text, isCookie: said.size === 0 };
}

function refuse(message: string): Credential {
  return { kind: 'refused', error: new AppError('unauthorized', message) };
}

/** Values of ?token=, which is no longer in the URL then, nor in that of the page it was asked from. */
function takeTokens(req: IncomingMessage): string[] {
  const { url, tokens } = takeParameter(req.url ?? '');
  req.url = url;
  const { referer } = req.headers;
  if (referer !== undefined) req.headers.referer = takeParameter(referer).url;
  return tokens;
}

function takeParameter(url: string): { readonly url: string; readonly tokens: string[] } {
  const at = url.indexOf('?');
  if (at < 0) return { url, tokens: [] };
  const [query = '', ...fragment] = url.slice(at + 1).split('#');
  const isToken = (part: string): boolean =>
    [...new URLSearchParams(part).keys()][0] === TOKEN_PARAMETER;
  const parts = query.split('&');
  const tokens = parts.filter(isToken);
  if (tokens.length === 0) return { url, tokens };
  const kept = parts.filter((part) => !isToken(part));
  const rest = [kept.join('&'), ...fragment].join('#');
  return {
    url: `${url.slice(0, at)}${rest === '' ? '' : `?${rest}`}`,
    tokens: tokens.map((part) => new URLSearchParams(part).get(TOKEN_PARAMETER) ?? ''),
  };
}

/** Values of a cookie, which is no longer among the others then. */
function takeCookies(req: IncomingMessage, name: string): string[] {
  const { cookie } = req.headers;
  if (cookie === undefined) return [];
  const pairs = cookie.split(';').map((pair) => pair.trim());
  const isOurs = (pair: string): boolean => [SECURE_COOKIE, PLAIN_COOKIE].includes(nameOf(pair));
  const kept = pairs.filter((pair) => !isOurs(pair));
  if (kept.length < pairs.length) {
    if (kept.length === 0) delete req.headers.cookie;
    else req.headers.cookie = kept.join('; ');
  }
  return pairs
    .filter((pair) => nameOf(pair) === name)
    .map((pair) => decodeValue(pair.slice(name.length + 1)))
    .filter((value) => value !== '');
}

function nameOf(pair: string): string {
  return pair.split('=', 1)[0]?.trim() ?? '';
}

function decodeValue(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** A month: who looks in more seldom logs in again. */
const COOKIE_SECONDS = 30 * 86_400;

/**
 * The Set-Cookie that keeps a credential in the browser, where no script reads it and no other site sends it.
 * @param lifetimeMs how long the credential is good; undefined: for ever
 */
export function setCookie(text: string, isSecure: boolean, lifetimeMs: number | undefined): string {
  const seconds = Math.floor((lifetimeMs ?? Infinity) / 1_000);
  return describeCookie(encodeURIComponent(text), isSecure, Math.min(COOKIE_SECONDS, seconds));
}

/** The Set-Cookie that takes it out of the browser again. */
export function clearCookie(isSecure: boolean): string {
  return describeCookie('', isSecure, 0);
}

function describeCookie(value: string, isSecure: boolean, seconds: number): string {
  const name = isSecure ? SECURE_COOKIE : PLAIN_COOKIE;
  const secure = isSecure ? '; Secure' : '';
  return `${name}=${value}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Lax${secure}`;
}
