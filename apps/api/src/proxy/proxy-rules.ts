import { readPath } from './request-path.ts';

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
