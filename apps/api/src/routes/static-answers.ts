import { AppError, isJsonObject, type JsonObject, stringifyJson } from '@tiercel/contracts';
import type { Request, Response } from 'express';
import { sendEmpty, sendJson, sendJsonText, sendText } from '../http/answer.ts';
import { readJsonBody, readParam, readTextBody } from '../http/read-request.ts';
import type { Route } from '../http/route.ts';
import type { Gather } from '../proxy/gather.ts';
import type { Forward } from '../proxy/proxy.ts';
import { mergeDeep, mergeLists, mergeObjects } from './pool-library.ts';

export interface StaticAnswerDeps {
  readonly maxUploadBytes: number;
  /** What GET /extensions lists: those of the pool. */
  readonly extensions: () => Promise<readonly string[]>;
  /** Tells the workers of a POST /free; gets the body as it came. */
  readonly publishFree: (body: string) => Promise<void>;
  /** What the servers of the pool announce in /features, as one. */
  readonly features: () => JsonObject;
  /** What they tell of successors of node classes. */
  readonly nodeReplacements: () => JsonObject;
  readonly gather: Gather;
  /** Asks one server after the other for a file of a pack. */
  readonly forwardFiles: Forward;
  /** Asked first for pages that a server of the pool has and Tiercel has a substitute for. */
  readonly forward: Forward;
}

/**
 * Routes that need no job: their answers never change, or are those of the pool's servers. They serve the frontends
 * of every era, so also what 0.3.64 did not have (/global_subgraphs, /node_replacements).
 */
export function createStaticAnswerRoutes(deps: StaticAnswerDeps): Route[] {
  return [
    {
      method: 'GET',
      path: '/features',
      handle(_req, res) {
        sendJsonText(res, stringifyJson(featuresOf(deps, deps.features())));
      },
    },
    {
      method: 'GET',
      path: '/extensions',
      async handle(_req, res) {
        sendJson(res, await deps.extensions());
      },
    },
    {
      method: 'GET',
      path: '/i18n',
      async handle(req, res) {
        const answered = mergeDeep(await deps.gather(req, '/i18n'));
        sendJsonText(res, stringifyJson(answered));
      },
    },
    {
      method: 'GET',
      path: '/workflow_templates',
      async handle(req, res) {
        const listed = mergeLists(await deps.gather(req, '/workflow_templates'));
        sendJson(res, listed);
      },
    },
    {
      method: 'GET',
      path: '/workflow_templates/:module/*file',
      prefix: 'api',
      async handle(req, res) {
        if ((await deps.forwardFiles(req, res)) !== 'sent') sendEmpty(res, 404);
      },
    },
    {
      method: 'GET',
      path: '/global_subgraphs',
      async handle(req, res) {
        const listed = mergeObjects(await deps.gather(req, '/global_subgraphs'));
        sendJsonText(res, stringifyJson(listed));
      },
    },
    {
      method: 'GET',
      path: '/global_subgraphs/:id',
      async handle(req, res) {
        const target = `/global_subgraphs/${encodeURIComponent(readParam(req, 'id'))}`;
        const answers = await deps.gather(req, target);
        sendJsonText(res, stringifyJson(answers.find(isJsonObject) ?? null));
      },
    },
    {
      method: 'GET',
      path: '/node_replacements',
      handle(_req, res) {
        sendJsonText(res, stringifyJson(deps.nodeReplacements()));
      },
    },
    {
      method: 'GET',
      path: '/templates/:file',
      prefix: 'bare',
      access: 'page',
      handle: async (req, res) => {
        if ((await deps.forward(req, res)) === 'sent') return;
        const answer = answerTemplates(readParam(req, 'file'));
        if (answer === undefined) sendEmpty(res, 404);
        else sendJson(res, answer);
      },
    },
    {
      method: 'POST',
      path: '/free',
      access: 'admin',
      body: 'text',
      handle: (req, res) => free(deps, req, res),
    },
    {
      method: 'GET',
      path: '/user.css',
      prefix: 'bare',
      access: 'page',
      handle: (_req, res) => {
        sendEmpty(res, 404);
      },
    },
    {
      method: 'GET',
      path: '/',
      prefix: 'bare',
      access: 'page',
      handle: async (req, res) => {
        if ((await deps.forward(req, res)) !== 'sent') showHome(res);
      },
    },
    ...(['GET', 'POST', 'PUT', 'DELETE'] as const).flatMap((method) =>
      ['/assets', '/assets/*rest', '/tags'].map((path): Route => {
        return { method, path, prefix: 'api', handle: refuseAssets };
      }),
    ),
  ];
}

/** How frontends search templates; without this file they log an error and use their own. */
const TEMPLATE_SEARCH = {
  keys: ['title', 'name', 'description', 'tags', 'models'],
  ...{ threshold: 0.33, includeScore: true, includeMatches: true, shouldSort: true },
};

/** The files that frontends look for beside templates, of which there are none. */
function answerTemplates(file: string): unknown {
  if (file === 'index_logo.json') return {};
  if (file === 'fuse_options.json') return TEMPLATE_SEARCH;
  // index.json and its translations, e.g. index.fr.json
  const isIndex = /^index(?:\.[\w-]+)?\.json$/.test(file);
  return isIndex ? [] : undefined;
}

/** Of binary text frames. */
const TEXT_METADATA = 'supports_progress_text_metadata';

/**
 * What GET /features and the WebSocket's `feature_flags` say: what servers of the pool have, and what is Tiercel's
 * own to say. `assets: false` in so many words: newer frontends take a missing flag for true. Texts of nodes go to
 * sockets without metadata, whatever servers could do.
 */
export function featuresOf(
  { maxUploadBytes }: Pick<StaticAnswerDeps, 'maxUploadBytes'>,
  servers: JsonObject,
): JsonObject {
  const answered = Object.entries(servers).filter(([name]) => name !== TEXT_METADATA);
  return {
    ...Object.fromEntries(answered),
    ...{ supports_preview_metadata: true, max_upload_size: maxUploadBytes, assets: false },
  };
}

/** Asks to unload models: there are none in the API, the workers pass it on to their backends. */
async function free(deps: StaticAnswerDeps, req: Request, res: Response): Promise<void> {
  const wish = readJsonBody(req);
  if (!isJsonObject(wish)) throw new AppError('bad_request', 'The body must be a JSON object.');
  await deps.publishFree(readTextBody(req));
  sendEmpty(res);
}

function showHome(res: Response): void {
  res.setHeader('Cache-Control', 'no-cache');
  res.setHeader('X-Content-Type-Options', 'nosniff');
  res.setHeader('Content-Security-Policy', "default-src 'none'; style-src 'unsafe-inline'");
  sendText(res, HOME_PAGE, { type: 'text/html; charset=utf-8' });
}

function refuseAssets(_req: Request, res: Response): void {
  const error = { code: 'SERVICE_DISABLED', message: 'This server has no assets.', details: {} };
  sendJson(res, { error }, 503);
}

/** GET /: tells a person who opens the server in a browser what it is. No scripts, nothing loaded. */
const HOME_PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tiercel</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 4rem auto; padding: 0 1rem; }
code { background: #8882; padding: 0 .25em; border-radius: 3px; }
</style>
</head>
<body>
<h1>Tiercel</h1>
<p>This is an image-job server that speaks ComfyUI's protocol. Point a ComfyUI client or frontend at this address.</p>
<ul>
<li><a href="queue">Queue</a>: what is running and waiting</li>
<li><a href="history?max_items=20">History</a>: the last 20 jobs</li>
<li><a href="system_stats">System</a>: versions and devices</li>
<li><a href="object_info">Nodes</a>: what a prompt may use</li>
</ul>
<p>Jobs go to <code>POST /prompt</code>, events come from <code>/ws</code>.</p>
</body>
</html>
`;
