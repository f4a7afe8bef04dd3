export interface ProxyRules {
  /** Patterns: `*` is any text without a slash, `**` at the end anything below. */
  readonly paths: readonly string[];
  /** Methods for `paths`. */
  readonly methods: readonly string[];
  /** Paths of custom nodes' routes: these and all below, as they are and under /api, any method. */
  readonly customRoutes: readonly string[];
}

/** Files that lie on some server of a pool, beside a model or in a pack of nodes. */
export const LIBRARY_RULES: ProxyRules = {
  paths: [
    ...['', '/api'].flatMap((prefix) => [
      `${prefix}/view_metadata/*`,
      `${prefix}/experiment/models/preview/**`,
    ]),
    '/api/workflow_templates/**',
  ],
  methods: ['GET', 'HEAD'],
  customRoutes: [],
};

/** page: a file of the frontend; custom: a route of a custom node. */
export type ProxiedKind = 'page' | 'custom';

/** What may be proxied: a path counts only if every reading of it is on the list. */
export function createProxyMatcher(
  rules: ProxyRules,
): (method: string, target: string) => ProxiedKind | undefined {
  const pages = rules.paths.map(compile);
  const isBelow = (path: string, route: string) => path === route || path.startsWith(`${route}/`);
  return (method, target) => {
    const path = readPath(target);
    // TRACE would show a page what its own scripts may not read.
    if (path === undefined || method === 'TRACE') return undefined;
    const bare = path.replace(/^\/api(?=\/)/, '');
    if (rules.customRoutes.some((route) => isBelow(path, route) || isBelow(bare, route))) {
      return 'custom';
    }
    if (!rules.methods.includes(method)) return undefined;
    return pages.some((pattern) => pattern.test(path)) ? 'page' : undefined;
  };
}

function compile(pattern: string): RegExp {
  const hasTail = pattern.endsWith('**');
  const text = (hasTail ? pattern.slice(0, -2) : pattern)
    .split('*')
    .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
    .join('[^/]*');
  return new RegExp(`^${text}${hasTail ? '.+' : ''}$`);
}

/**
 * Tells which request targets are another spelling of a path that Tiercel serves itself: a slash more at
 * the end, other case, escapes, `/api` twice. Such a request must not reach a server of the pool.
 * @param patterns Express patterns of plain segments, `:name` and `*name`
 */
export function createOwnPathTest(patterns: readonly string[]): (target: string) => boolean {
  const own = [...new Set(patterns)].map(compileRoute);
  return (target) => {
    const path = readPath(target)?.replace(/^(?:\/api)+(?=\/)/i, '/api');
    return path !== undefined && own.some((pattern) => pattern.test(path));
  };
}

function compileRoute(pattern: string): RegExp {
  const segments = pattern.split('/').map((segment) => {
    if (segment.startsWith(':')) return '[^/]+';
    return segment.startsWith('*') ? '.+' : segment.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  });
  return new RegExp(`^${segments.join('/')}/?$`, 'i');
}

/** Letters, digits, `-._~`: no honest client escapes these. */
const ESCAPED_PLAIN = /%(?:2[de]|3\d|4[1-9a-f]|5[\daf]|6[1-9a-f]|7[\dae])/i;
const PRINTABLE = /^[\x21-\x7e]+$/;
// eslint-disable-next-line no-control-regex -- exactly those are refused
const REFUSED_CHARACTER = /[\\\x00-\x1f\x7f]/;
const MAX_DECODINGS = 4;

/**
 * The path that a request target means, with every escape undone, however often it was escaped.
 * @param target as it came: path and query
 * @returns undefined for one that two servers could read differently: with dot segments, doubled or
 *          back slashes, control characters, needless or broken escapes
 */
function readPath(target: string): string | undefined {
  if (!PRINTABLE.test(target) || !target.startsWith('/')) return undefined;
  const raw = target.split('?', 1)[0] ?? '';
  if (raw.includes('#') || ESCAPED_PLAIN.test(raw)) return undefined;
  const path = decodeFully(raw);
  if (path === undefined || REFUSED_CHARACTER.test(path)) return undefined;
  const segments = path.slice(1).split('/');
  const isOdd = segments.some(
    (segment, index) =>
      segment === '.' ||
      segment === '..' ||
      (segment === '' && (index < segments.length - 1 || raw.endsWith('//'))),
  );
  return isOdd ? undefined : path;
}

function decodeFully(raw: string): string | undefined {
  let path = raw;
  try {
    for (let round = 0; round < MAX_DECODINGS; round += 1) {
      const decoded = decodeURIComponent(path);
      if (decoded === path) return path;
      path = decoded;
    }
  } catch {
    // A broken escape.
  }
  return undefined;
}
