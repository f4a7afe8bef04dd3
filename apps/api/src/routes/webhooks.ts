import {
  AppError,
  isJsonObject,
  parseJson,
  readWebhook,
  stringifyJson,
  type JsonObject,
} from '@tiercel/contracts';
import {
  checkReceiver,
  isWebhookSecret,
  type AddressGuard,
  type DeliveryLog,
  type DeliveryView,
  type Endpoint,
  type WebhookStore,
} from '@tiercel/webhooks';
import type { Request, Response } from 'express';
import { iso } from '../admin/shown.ts';
import { sendEmpty, sendJson, sendJsonText } from '../http/answer.ts';
import { readIntegerQuery, readJsonBody, readParam, readQuery } from '../http/read-request.ts';
import type { Route } from '../http/route.ts';
import { callerOf } from '../identity/caller-of.ts';

const PAGE = 100;
const MAX_PAGE = 500;
const NAME = /^[\w.-]{1,64}$/;

export interface WebhooksDependencies {
  readonly store: WebhookStore;
  readonly guard: AddressGuard;
  readonly deliveries: DeliveryLog;
}

/**
 * /api/webhooks: whom a tenant has told of all its jobs, the secrets that sign, and what became of each delivery
 * (docs/webhooks.md). Each sees its own alone: what is another's is answered as what is not there.
 */
export function createWebhookRoutes(deps: WebhooksDependencies): Route[] {
  return [
    ...endpointRoutes(deps),
    ...secretRoutes(deps.store),
    ...deliveryRoutes(deps.deliveries),
  ].map((route) => ({ ...route, prefix: 'api' }));
}

function endpointRoutes({ store, guard }: WebhooksDependencies): Route[] {
  return [
    {
      method: 'GET',
      path: '/webhooks',
      handle: async (_req, res) => {
        const endpoints = await store.listEndpoints(callerOf(res).tenant);
        sendJson(res, { webhooks: endpoints.map(showEndpoint) });
      },
    },
    {
      method: 'POST',
      path: '/webhooks',
      body: 'text',
      handle: async (req, res) => {
        const given = readWebhook(readJsonBody(req), 'The webhook');
        checkReceiver(given.url, guard, 'The webhook');
        const { endpoint, secret } = await store.addEndpoint(callerOf(res).tenant, given);
        sendJson(
          res,
          { ...showEndpoint(endpoint), ...(secret === undefined ? {} : { secret }) },
          201,
        );
      },
    },
    {
      method: 'DELETE',
      path: '/webhooks/:id',
      handle: async (req, res) => {
        const isDone = await store.deleteEndpoint(callerOf(res).tenant, readParam(req, 'id'));
        answerDone(res, isDone, 'Webhook');
      },
    },
    ...(['enable', 'disable'] as const).map((order): Route => ({
      method: 'POST',
      path: `/webhooks/:id/${order}`,
      body: 'text',
      handle: async (req, res) => {
        const isDone = await store.setDisabled(
          callerOf(res).tenant,
          readParam(req, 'id'),
          order === 'disable' ? 'by_hand' : undefined,
        );
        answerDone(res, isDone, 'Webhook');
      },
    })),
  ];
}

/** Of the address only what its owner needs to know it again: the rest may hold credentials. */
function showEndpoint({ id, url, events, secretRef, createdAtMs, disabled }: Endpoint): object {
  return {
    ...{ id, url: new URL(url).origin, events, secret_ref: secretRef },
    created: iso(createdAtMs),
    disabled: disabled ?? null,
  };
}

function secretRoutes(store: WebhookStore): Route[] {
  return [
    {
      method: 'GET',
      path: '/webhooks/secrets',
      handle: async (_req, res) => {
        const secrets = await store.listSecrets(callerOf(res).tenant);
        sendJson(res, {
          secrets: secrets.map(({ name, createdAtMs, formerUntilMs }) => ({
            ...{ name, created: iso(createdAtMs), former_until: iso(formerUntilMs) },
          })),
        });
      },
    },
    {
      method: 'POST',
      path: '/webhooks/secrets',
      body: 'text',
      handle: async (req, res) => {
        const { name, secret: given } = readSecret(req);
        const secret = await store.putSecret(callerOf(res).tenant, name, given);
        sendJson(res, { name, secret }, 201);
      },
    },
    {
      method: 'DELETE',
      path: '/webhooks/secrets/:name',
      handle: async (req, res) => {
        const isDone = await store.deleteSecret(callerOf(res).tenant, readParam(req, 'name'));
        answerDone(res, isDone, 'Secret');
      },
    },
  ];
}

function readSecret(req: Request): { readonly name: string; readonly secret: string | undefined } {
  const body = readJsonBody(req, {});
  const { name, secret = null } = isJsonObject(body) ? body : ({} satisfies JsonObject);
  if (typeof name !== 'string' || !NAME.test(name)) {
    throw new AppError(
      'webhook_invalid',
      'A secret needs a name: 1 to 64 letters, digits, dots, dashes or underscores.',
    );
  }
  if (secret === null) return { name, secret: undefined };
  if (typeof secret === 'string' && isWebhookSecret(secret)) return { name, secret };
  throw new AppError(
    'webhook_invalid',
    'secret must be whsec_ and 24 to 64 random bytes in base64; leave it out to have one made.',
  );
}

function deliveryRoutes(deliveries: DeliveryLog): Route[] {
  const list = async (req: Request, res: Response, which: 'all' | 'dead'): Promise<void> => {
    const limit = readIntegerQuery(req, 'limit') ?? PAGE;
    const page = await deliveries.list(callerOf(res).tenant, which, {
      limit: Math.min(Math.max(limit, 1), MAX_PAGE),
      before: readQuery(req).get('before') ?? undefined,
    });
    sendJson(res, { deliveries: page.deliveries.map(showDelivery), next: page.cursor ?? null });
  };
  return [
    {
      method: 'GET',
      path: '/webhooks/deliveries',
      handle: (req, res) => list(req, res, 'all'),
    },
    {
      method: 'GET',
      path: '/webhooks/dead-letters',
      handle: (req, res) => list(req, res, 'dead'),
    },
    {
      method: 'GET',
      path: '/webhooks/deliveries/:id',
      handle: async (req, res) => {
        const found = await deliveries.find(callerOf(res).tenant, readParam(req, 'id'));
        if (found === undefined) {
          sendJson(res, { error: 'Delivery not found' }, 404);
          return;
        }
        const body = found.bodyText === '' ? null : parseJson(found.bodyText);
        sendJsonText(res, stringifyJson({ ...showDelivery(found.view), body }));
      },
    },
    {
      method: 'POST',
      path: '/webhooks/deliveries/:id/redeliver',
      body: 'text',
      handle: async (req, res) => {
        const id = readParam(req, 'id');
        if (await deliveries.redeliver(callerOf(res).tenant, id)) sendJson(res, { id }, 202);
        else sendJson(res, { error: 'Delivery not found' }, 404);
      },
    },
  ];
}

function showDelivery(delivery: DeliveryView) {
  return {
    ...{ id: delivery.id, type: delivery.type, prompt_id: delivery.promptId },
    ...{ webhook: delivery.webhookId ?? null, receiver: delivery.receiver ?? null },
    ...{ state: delivery.state, reason: delivery.reason ?? null },
    created: iso(delivery.createdAtMs),
    settled: iso(delivery.settledAtMs),
    next_try: iso(delivery.nextTryAtMs),
    attempts: delivery.attempts.map(({ at, ...attempt }) => ({ at: iso(at), ...attempt })),
  };
}

function answerDone(res: Response, isDone: boolean, what: string): void {
  if (isDone) sendEmpty(res, 204);
  else sendJson(res, { error: `${what} not found` }, 404);
}
