import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';

/** Of one connection, not of the message (RFC 9110, 7.6.1). */
const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];

/**
 * Never sent on: `host` is the server's own, credentials are for Tiercel, and where a request comes from
 * was checked here; a server would compare it with its own address.
 */
const KEPT_FROM_SERVERS = [
  'host',
  'expect',
  'cookie',
  'authorization',
  'origin',
  'sec-fetch-site',
  'sec-fetch-mode',
  'sec-fetch-dest',
  'sec-fetch-user',
];
const BODY_HEADERS = ['content-length', 'content-type', 'content-encoding'];

/** What is asked of a server, without what concerns only the caller and Tiercel. */
export function requestHeaders(
  headers: IncomingHttpHeaders,
  extra: { readonly via: string; readonly hasBody: boolean },
): OutgoingHttpHeaders {
  const dropped = new Set([
    ...HOP_BY_HOP,
    ...KEPT_FROM_SERVERS,
    ...namedByConnection(headers),
    ...(extra.hasBody ? [] : BODY_HEADERS),
  ]);
  const kept = Object.entries(headers).filter(([name]) => !dropped.has(name));
  const via = headers.via === undefined ? extra.via : `${headers.via}, ${extra.via}`;
  return { ...Object.fromEntries(kept), via };
}

/**
 * What the caller is told of a server's answer. Cookies would become Tiercel's, and which other
 * sites may read an answer is for Tiercel to say.
 */
export function answerHeaders(headers: IncomingHttpHeaders, server: URL): OutgoingHttpHeaders {
  const dropped = new Set([...HOP_BY_HOP, 'set-cookie', ...namedByConnection(headers)]);
  const kept = Object.entries(headers).filter(
    ([name]) => !dropped.has(name) && !name.startsWith('access-control-'),
  );
  const { location } = headers;
  return {
    ...Object.fromEntries(kept),
    ...(location === undefined ? {} : { location: hideServer(location, server) }),
  };
}

function namedByConnection(headers: IncomingHttpHeaders): string[] {
  return (headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase());
}

/** A server that sends the caller to another of its own pages means Tiercel's page of that path. */
function hideServer(location: string, server: URL): string {
  const base = `${server.origin}${server.pathname.replace(/\/$/, '')}`;
  return location.startsWith(`${base}/`) ? location.slice(base.length) : location;
}
