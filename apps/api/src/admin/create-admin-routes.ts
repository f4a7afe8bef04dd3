import type { AuditLog, KeyStore, PolicyStore, UsageStore } from '@tiercel/accounts';
import type { LiveWorker } from '@tiercel/events';
import type { Editor, Reader, TenantLoads } from '@tiercel/queue';
import { sendJson } from '../http/answer.ts';
import type { Route } from '../http/route.ts';
import type { JobEstimates } from '../job-estimates.ts';
import { ADMIN_PREFIX, type AdminRoute } from './admin-route.ts';
import { createAuditRoutes } from './audit-routes.ts';
import { createKeyRoutes } from './key-routes.ts';
import { createOpenApi } from './openapi.ts';
import { createOverloadRoutes, type OverloadRouteParts } from './overload-routes.ts';
import { createPlanRoutes } from './plan-routes.ts';
import { createQueueAdminRoutes } from './queue-routes.ts';
import { createTierRoutes } from './tier-routes.ts';
import { createUsageAdminRoutes } from './usage-routes.ts';

export interface AdminDependencies extends OverloadRouteParts {
  readonly policy: PolicyStore;
  readonly keys: KeyStore;
  readonly audit: AuditLog;
  readonly reader: Reader;
  readonly editor: Editor;
  readonly estimates: Pick<JobEstimates, 'of'>;
  readonly loads: TenantLoads;
  readonly usage: UsageStore;
  /** Days for which usage is kept; 0: it is not. */
  readonly keptDays: number;
  /** Those that are up. */
  readonly workers: () => readonly LiveWorker[];
}

const API_VERSION = '1.0.0';

/** /admin/v1: what an operator changes while everything runs; described by its openapi.json. */
export function createAdminRoutes(parts: AdminDependencies): Route[] {
  const { policy, keys, audit } = parts;
  const routes = [
    ...createPlanRoutes(policy),
    ...createKeyRoutes(keys, policy),
    ...createTierRoutes(parts),
    ...createQueueAdminRoutes(parts),
    ...createOverloadRoutes(parts),
    ...createUsageAdminRoutes(parts.usage, parts.keptDays),
    ...createAuditRoutes(audit),
  ];
  const document = createOpenApi(routes, API_VERSION);
  return [
    ...routes.map(toRoute),
    {
      ...{ method: 'GET', path: `${ADMIN_PREFIX}/openapi.json`, prefix: 'bare' },
      access: 'operator',
      handle: (_req, res) => {
        sendJson(res, document);
      },
    },
  ];
}

function toRoute({ method, path, body, respond }: AdminRoute): Route {
  return {
    ...{ method, path: `${ADMIN_PREFIX}${path}`, prefix: 'bare', access: 'operator' },
    ...(body === undefined ? {} : { body: 'text' }),
    handle: (req, res) => {
      // What an administrator is shown belongs into no cache.
      res.setHeader('Cache-Control', 'no-store');
      return respond(req, res);
    },
  };
}
