import {
  AppError,
  isJsonObject,
  parseJson,
  stringifyJson,
  type JsonValue,
} from '@tiercel/contracts';
import type { UserStore } from '@tiercel/storage';
import type { Request, Response } from 'express';
import type { Route } from '../http/route.ts';
import { endEmpty } from './view-http.ts';

/**
 * Settings of a system on which nobody has stored any: newer frontends greet a new user with a choice of
 * templates, of which there are none here, over an empty canvas. With this they show their first graph.
 */
export const NEW_SYSTEM_SETTINGS = { 'Comfy.TutorialCompleted': true };

export interface SettingsDeps {
  readonly user: UserStore;
}

/** /users and /settings of a server with a single user, as ComfyUI 0.3.64 (transcript 17). */
export function createSettingsRoutes({ user }: SettingsDeps): Route[] {
  const { settings } = user;
  return [
    {
      method: 'GET',
      path: '/users',
      // A member `users` would make the frontend show its login screen.
      handle: async (_req, res) => {
        res.json({ storage: 'server', migrated: await user.files.exists() });
      },
    },
    {
      method: 'GET',
      path: '/settings',
      handle: async (_req, res) => {
        sendJson(res, await settings.read());
      },
    },
    {
      method: 'GET',
      path: '/settings/:id',
      handle: async (req, res) => {
        const stored = new Map(Object.entries(await settings.read()));
        sendJson(res, stored.get(idOf(req)) ?? null);
      },
    },
    {
      method: 'POST',
      path: '/settings',
      body: 'text',
      handle: async (req, res) => {
        const changes = parseBody(req);
        if (!isJsonObject(changes)) {
          throw new AppError('bad_request', 'Settings must be a JSON object.');
        }
        await settings.merge(new Map(Object.entries(changes)));
        endEmpty(res, 200);
      },
    },
    {
      method: 'POST',
      path: '/settings/:id',
      body: 'text',
      handle: async (req, res) => {
        // The frontend sends `undefined` as an empty body (ComfyUI fails with 500): the setting is
        // taken away, which is what undefined means there.
        await settings.merge(new Map([[idOf(req), parseBody(req)]]));
        endEmpty(res, 200);
      },
    },
  ];
}

/** JSON of any kind; undefined for an empty body. */
function parseBody(req: Request): JsonValue | undefined {
  const body: unknown = req.body;
  if (typeof body !== 'string' || body === '') return undefined;
  try {
    return parseJson(body);
  } catch (cause) {
    throw new AppError('bad_json', 'The body is not JSON.', { cause });
  }
}

function idOf(req: Request): string {
  const { id } = req.params;
  return typeof id === 'string' ? id : '';
}

/** Not res.json: settings may hold integers that only bigints carry. */
function sendJson(res: Response, value: JsonValue): void {
  res.type('json').send(stringifyJson(value));
}
