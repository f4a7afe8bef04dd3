import { createHmac } from 'node:crypto';

const MARK_LENGTH = 8;

/** Where a ComfyUI server is, taken apart once. */
export interface ServerAddress {
  /** `gpu-a:8188`: what messages and logs call the server. Holds no secret. */
  readonly host: string;
  /** Credentials that were part of the URL, as a header; never logged. */
  readonly headers: Readonly<Record<string, string>>;
  httpUrl(path: string, query?: Readonly<Record<string, string>>): string;
  socketUrl(clientId: string): string;
}

/**
 * Reads a server's URL: http or https, with or without a path before ComfyUI's own
 * (`https://name:secret@host/comfy`).
 * @throws TypeError when it is no such URL; the message does not repeat it
 */
export function parseServerAddress(baseUrl: string): ServerAddress {
  if (!URL.canParse(baseUrl)) throw new TypeError('the URL of a ComfyUI server cannot be read');
  const { protocol, host, pathname, username, password } = new URL(baseUrl);
  if (protocol !== 'http:' && protocol !== 'https:') {
    throw new TypeError(`the URL of the ComfyUI server ${host} is neither http nor https`);
  }
  const root = `//${host}${pathname.replace(/\/+$/, '')}`;
  const login = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return {
    host,
    headers: login === ':' ? {} : { authorization: `Basic ${toBase64(login)}` },
    httpUrl: (path, query = {}) => {
      const search = new URLSearchParams(query).toString();
      return `${protocol}${root}${path}${search === '' ? '' : `?${search}`}`;
    },
    socketUrl: (clientId) => {
      const scheme = protocol === 'https:' ? 'wss:' : 'ws:';
      return `${scheme}${root}/ws?${new URLSearchParams({ clientId }).toString()}`;
    },
  };
}

/**
 * What a server is called wherever it is written down (keys of Redis, resume tokens, heartbeats): its URL without
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

function toBase64(text: string): string {
  return Buffer.from(text).toString('base64');
}
