import { isFileType } from '@tiercel/contracts';
import type { TenantFiles } from '@tiercel/storage';
import { sendEmpty, sendJson } from '../http/answer.ts';
import { callerOf } from '../identity/caller-of.ts';
import { readParam } from '../http/read-request.ts';
import type { Route } from '../http/route.ts';
import type { Gather } from '../proxy/gather.ts';
import { mergeLists } from './pool-library.ts';

/** One line for the frontend's log panel: ISO time and text. */
interface LogLine {
  readonly t: string;
  readonly m: string;
}

export interface InternalDeps {
  readonly files: Pick<TenantFiles, 'of'>;
  /** The last lines, oldest first; without machine paths or secrets, because anybody may read them. */
  logs(): readonly LogLine[];
  readonly gather: Gather;
}

/** The frontend draws its log panel for a terminal of this size. */
const TERMINAL = { cols: 80, rows: 24 };

/**
 * /internal/*: only without the /api prefix, as in ComfyUI. No answer names a path of this machine; those of the pool's
 * servers are for the frontend.
 */
export function createInternalRoutes(deps: InternalDeps): Route[] {
  return [
    {
      method: 'GET',
      path: '/internal/logs',
      prefix: 'bare',
      access: 'admin',
      handle: (_req, res) => {
        sendJson(
          res,
          deps
            .logs()
            .map(({ t, m }) => `${t} - ${m}`)
            .join(''),
        );
      },
    },
    {
      method: 'GET',
      path: '/internal/logs/raw',
      prefix: 'bare',
      access: 'admin',
      handle: (_req, res) => {
        sendJson(res, { entries: deps.logs().map(({ t, m }) => ({ t, m })), size: TERMINAL });
      },
    },
    {
      method: 'PATCH',
      path: '/internal/logs/subscribe',
      prefix: 'bare',
      access: 'admin',
      body: 'text',
      handle: (_req, res) => {
        sendEmpty(res);
      },
    },
    {
      method: 'GET',
      path: '/internal/folder_paths',
      prefix: 'bare',
      handle: async (req, res) => {
        sendJson(res, mergeLists(await deps.gather(req, '/internal/folder_paths')));
      },
    },
    {
      method: 'GET',
      path: '/internal/files/:type',
      prefix: 'bare',
      handle: async (req, res) => {
        const type = readParam(req, 'type');
        if (isFileType(type))
          sendJson(res, await deps.files.of(callerOf(res).tenant).listFiles(type, 'newest'));
        else sendJson(res, { error: 'Invalid directory type' }, 400);
      },
    },
  ];
}
