import { AppError, isJsonObject, stringifyJson, type JsonValue } from '@tiercel/contracts';
import type { TenantUsers, UserStore } from '@tiercel/storage';
import type { Request, Response } from 'express';
import { sendEmpty, sendJson, sendJsonText } from '../http/answer.ts';
import { callerOf } from '../identity/caller-of.ts';
import { readJsonBody, readParam, readTextBody } from '../http/read-request.ts';
import type { Route } from '../http/route.ts';

/**
 * Settings of a system on which nobody has stored any: newer frontends greet a new user with a choice of
 * templates, of which there are none here, over an empty canvas. With this they show their first graph.
 */
export const NEW_SYSTEM_SETTINGS = { 'Comfy.TutorialCompleted': true };

export interface SettingsDeps {
  readonly users: Pick<TenantUsers, 'of'>;
}

/** /users and /settings of a server with a single user, as ComfyUI 0.3.64 (wire 11.1, 11.2). */
export function createSettingsRoutes({ users }: SettingsDeps): Route[] {
  const userOf = (res: Response): UserStore => users.of(callerOf(res).tenant);
  return [
    {
      method: 'GET',
      path: '/users',
      // A member `users` would make the frontend show its login screen.
      handle: async (_req, res) => {
        sendJson(res, { storage: 'server', migrated: await userOf(res).files.exists() });
      },
    },
    {
      method: 'GET',
      path: '/settings',
      handle: async (_req, res) => {
        sendJsonText(res, stringifyJson(await userOf(res).settings.read()));
      },
    },
    {
      method: 'GET',
      path: '/settings/:id',
      handle: async (req, res) => {
        const stored = new Map(Object.entries(await userOf(res).settings.read()));
        sendJsonText(res, stringifyJson(stored.get(readParam(req, 'id')) ?? null));
      },
    },
    {
      method: 'POST',
      path: '/settings',
      body: 'text',
      handle: async (req, res) => {
        const changes = readSetting(req);
        if (!isJsonObject(changes)) {
          throw new AppError('bad_request', 'Settings must be a JSON object.');
        }
        await userOf(res).settings.merge(new Map(Object.entries(changes)));
        sendEmpty(res);
      },
    },
    {
      method: 'POST',
      path: '/settings/:id',
      body: 'text',
      handle: async (req, res) => {
        // The frontend sends `undefined` as an empty body (ComfyUI fails with 500): the setting is
        // taken away, which is what undefined means there.
        await userOf(res).settings.merge(new Map([[readParam(req, 'id'), readSetting(req)]]));
        sendEmpty(res);
      },
    },
  ];
}

/** JSON of any kind; undefined for an empty body. */
function readSetting(req: Request): JsonValue | undefined {
  return readTextBody(req) === '' ? undefined : readJsonBody(req);
}
