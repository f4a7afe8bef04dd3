const NOWHERE = 'http://nowhere.invalid';

/** Where a person is sent who must say who he is: the login page, which sends him back. */
export function loginTarget(url: string): string {
  const next = safeTarget(url);
  return next === '/' ? '/login' : `/login?next=${encodeURIComponent(next)}`;
}

/**
 * Where to go after the login: a path of this server, whatever somebody has written into the link to it.
 * @param text the `next` of the link; anything
 */
export function safeTarget(text: string | null | undefined): string {
  if (text === null || text === undefined || !/^\/(?![/\\])[\x21-\x7e]*$/.test(text)) return '/';
  if (!URL.canParse(text, NOWHERE)) return '/';
  const { origin, pathname, search, hash } = new URL(text, NOWHERE);
  // Dots may lead to two slashes (`/.//evil.example`), which a browser takes for another host.
  const isElsewhere = origin !== NOWHERE || pathname.startsWith('//') || pathname.includes('\\');
  const isLogin = /^\/log(in|out)\/?$/i.test(pathname);
  return isElsewhere || isLogin ? '/' : `${pathname}${search}${hash}`;
}
