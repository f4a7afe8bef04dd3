import { freemem, platform, totalmem } from 'node:os';
import { stringifyJson } from '@tiercel/contracts';
import type { Health, MetricsRegistry } from '@tiercel/runtime';
import type { Catalogue } from '../catalogue.ts';
import type { ServerRefresh } from '../server-refresh.ts';
import { sendJson, sendJsonText, sendText } from '../http/answer.ts';
import { readParam } from '../http/read-request.ts';
import { callerOf } from '../identity/caller-of.ts';
import type { Route } from '../http/route.ts';

/** The ComfyUI whose wire was recorded; clients compare versions with it. */
const COMFYUI_VERSION = '0.3.64';
const FRONTEND_VERSION = '1.27.10';
const TEMPLATES_VERSION = '0.1.95';

export interface SystemDependencies {
  readonly catalogue: Catalogue;
  /** Servers are looked at before their classes are told. */
  readonly serverRefresh: Pick<ServerRefresh, 'ask'>;
  readonly metrics: MetricsRegistry;
  readonly health: Health;
}

/** /object_info, /system_stats, and what operators ask: /health and /metrics. */
export function createSystemRoutes({
  catalogue,
  serverRefresh,
  metrics,
  health,
}: SystemDependencies): Route[] {
  return [
    {
      method: 'GET',
      path: '/object_info',
      async handle(_req, res) {
        await serverRefresh.ask('all');
        sendJsonText(res, await catalogue.objectInfoText(callerOf(res).tenant));
      },
    },
    {
      method: 'GET',
      path: '/object_info/:className',
      async handle(req, res) {
        const name = readParam(req, 'className');
        await serverRefresh.ask([name]);
        sendJsonText(res, await catalogue.classText(name, callerOf(res).tenant));
      },
    },
    {
      method: 'GET',
      path: '/system_stats',
      async handle(_req, res) {
        const { devices, system } = await catalogue.capabilities();
        const own = describeSystem();
        // Which program and flags this is started with is nobody's business, nor where a server's are.
        const answered = { ...own, ...system, argv: own.argv };
        sendJsonText(res, stringifyJson({ system: answered, devices }));
      },
    },
    {
      method: 'GET',
      path: '/health',
      prefix: 'bare',
      access: 'everyone',
      async handle(_req, res) {
        const { redis, store } = (await health.read()).checks;
        const healthy = redis === 'ok' && store === 'ok';
        sendJson(res, { healthy, workers: catalogue.workers.length }, healthy ? 200 : 503);
      },
    },
    {
      method: 'GET',
      path: '/health/live',
      prefix: 'bare',
      access: 'everyone',
      handle(_req, res) {
        sendJson(res, { live: true });
      },
    },
    {
      method: 'GET',
      path: '/health/ready',
      prefix: 'bare',
      access: 'everyone',
      async handle(_req, res) {
        const { ready, checks } = await health.read();
        if (!ready) res.setHeader('Retry-After', 1);
        sendJson(res, { ready, ...checks }, ready ? 200 : 503);
      },
    },
    {
      method: 'GET',
      path: '/metrics',
      prefix: 'bare',
      access: 'admin',
      async handle(_req, res) {
        const text = await metrics.metrics();
        sendText(res, text, { type: metrics.contentType });
      },
    },
  ];
}

function describeSystem(): Record<string, unknown> {
  return {
    os: platform() === 'win32' ? 'nt' : 'posix',
    ram_total: totalmem(),
    ram_free: freemem(),
    comfyui_version: COMFYUI_VERSION,
    required_frontend_version: FRONTEND_VERSION,
    installed_templates_version: null,
    required_templates_version: TEMPLATES_VERSION,
    python_version: `Node.js ${process.version}`,
    pytorch_version: 'none',
    embedded_python: false,
    argv: ['tiercel'],
  };
}
