import { readPath } from './request-path.ts';

/**
 * Tells which request targets are another spelling of a path that Tiercel serves itself: a slash more at
 * the end, other case, escapes, `/api` twice. Such a request must not reach a server of the pool.
 * @param patterns Express patterns of plain segments, `:name` and `*name`
 */
export function createOwnPathTest(patterns: readonly string[]): (target: string) => boolean {
  const own = [...new Set(patterns)].map(compile);
  return (target) => {
    const path = readPath(target)?.replace(/^(?:\/api)+(?=\/)/i, '/api');
    return path !== undefined && own.some((pattern) => pattern.test(path));
  };
}

function compile(pattern: string): RegExp {
  const segments = pattern.split('/').map((segment) => {
    if (segment.startsWith(':')) return '[^/]+';
    return segment.startsWith('*') ? '.+' : segment.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  });
  return new RegExp(`^${segments.join('/')}/?$`, 'i');
}
