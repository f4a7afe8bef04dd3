/** Whether a URL means another machine to each machine that reads it. */
export function isLoopbackUrl(url: URL): boolean {
  const { hostname } = url;
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname);
}

/** One name for a server, however its URL is written and whichever host names it. */
export function nameServer(url: string, host: string): string {
  if (!URL.canParse(url)) return url;
  const parsed = new URL(url);
  return isLoopbackUrl(parsed) ? `${host} ${parsed.href}` : parsed.href;
}
