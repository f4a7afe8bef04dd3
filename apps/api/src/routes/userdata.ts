import { basename } from 'node:path';
import { isAppError } from '@tiercel/contracts';
import type { TenantUsers, UserFileInfo, UserStore } from '@tiercel/storage';
import type { Request, Response } from 'express';
import { sendEmpty, sendJson, sendText } from '../http/answer.ts';
import { streamFileBody } from '../http/read-body.ts';
import { callerOf } from '../identity/caller-of.ts';
import { readParam, readQuery } from '../http/read-request.ts';
import type { Route } from '../http/route.ts';
import { contentOf, sendFile } from '../http/send-file.ts';
import { orNullIfRefused } from './stored-names.ts';

export interface UserdataDeps {
  readonly users: Pick<TenantUsers, 'of'>;
  /** Largest file. */
  readonly maxUploadBytes: number;
}

/**
 * The frontend's own files (workflows, sub-graphs), as ComfyUI 0.3.64 (wire 11.3 to 11.6); times in whole
 * milliseconds as in later versions. Files are downloads, so that none runs as a page here.
 */
export function createUserdataRoutes(deps: UserdataDeps): Route[] {
  const userOf = (res: Response): UserStore => deps.users.of(callerOf(res).tenant);
  const file = '/userdata/:file';
  return [
    { method: 'GET', path: '/userdata', handle: (req, res) => list(userOf(res), req, res) },
    { method: 'GET', path: '/v2/userdata', handle: (req, res) => browse(userOf(res), req, res) },
    { method: 'GET', path: file, handle: (req, res) => read(userOf(res), req, res) },
    {
      method: 'POST',
      path: file,
      body: 'none',
      handle: (req, res) => write(deps.maxUploadBytes, userOf(res), req, res),
    },
    { method: 'DELETE', path: file, handle: (req, res) => remove(userOf(res), req, res) },
    {
      method: 'POST',
      path: `${file}/move/:dest`,
      handle: (req, res) => move(userOf(res), req, res),
    },
  ];
}

async function list(user: UserStore, req: Request, res: Response): Promise<void> {
  const query = readQuery(req);
  const folder = query.get('dir') ?? '';
  if (folder === '') {
    sendText(res, 'Directory not provided', { status: 400 });
    return;
  }
  const depth = isTrue(query, 'recurse') ? 'recursive' : 'flat';
  const listing = await user.files.list(unquote(folder), depth);
  if (listing === null) {
    sendText(res, 'Directory not found', { status: 404 });
  } else if (isTrue(query, 'full_info')) {
    sendJson(res, listing.map(wireInfo));
  } else {
    const paths = listing.map(({ path }) => path);
    sendJson(res, isTrue(query, 'split') ? paths.map((path) => [path, ...path.split('/')]) : paths);
  }
}

async function browse(user: UserStore, req: Request, res: Response): Promise<void> {
  const folder = readQuery(req).get('path') ?? '';
  const entries = await orNullIfRefused(user.files.browse(unquote(folder)));
  if (entries === null) {
    sendText(res, 'Invalid path requested', { status: 400 });
  } else if (entries.value === 'missing') {
    sendText(res, 'Requested path not found', { status: 404 });
  } else if (entries.value === 'not-a-directory') {
    sendText(res, 'Requested path is not a directory', { status: 400 });
  } else {
    const wire = entries.value.map((entry) => {
      const { name, path, kind } = entry;
      if (entry.kind === 'directory') return { name, path, type: kind };
      // Seconds with a fraction: this route alone, in every version.
      return { name, path, type: kind, size: entry.size, modified: entry.modifiedMs / 1000 };
    });
    sendJson(res, wire);
  }
}

async function read(user: UserStore, req: Request, res: Response): Promise<void> {
  const name = fileParam(req, 'file');
  const found = await user.files.find(name);
  if (found === null) {
    sendEmpty(res, 404);
    return;
  }
  // The one file that a page loads as it is: the user's style sheet.
  const isUserCss = name === 'user.css';
  res.setHeader('Content-Type', isUserCss ? 'text/css' : contentOf(basename(name)).type);
  res.setHeader('Content-Disposition', isUserCss ? 'inline' : 'attachment');
  sendFile(req, res, found);
}

async function write(
  maxUploadBytes: number,
  user: UserStore,
  req: Request,
  res: Response,
): Promise<void> {
  const query = readQuery(req);
  const content = streamFileBody(req, maxUploadBytes);
  try {
    const written = user.files.write(fileParam(req, 'file'), content, onExisting(query));
    await answerStored(res, query, written);
  } finally {
    // What was not read would otherwise keep the connection from its next request.
    req.resume();
  }
}

async function remove(user: UserStore, req: Request, res: Response): Promise<void> {
  const removed = await user.files.remove(fileParam(req, 'file'));
  sendEmpty(res, removed ? 204 : 404);
}

async function move(user: UserStore, req: Request, res: Response): Promise<void> {
  const query = readQuery(req);
  const moved = user.files.move(fileParam(req, 'file'), fileParam(req, 'dest'), onExisting(query));
  await answerStored(res, query, moved);
}

async function answerStored(
  res: Response,
  query: URLSearchParams,
  work: Promise<UserFileInfo | 'exists' | 'missing'>,
): Promise<void> {
  const stored = await work.catch((error: unknown) => {
    // Names that the system refuses have a reason phrase of their own, as in ComfyUI.
    if (isAppError(error) && error.code === 'bad_request') res.statusMessage = 'Invalid filename';
    throw error;
  });
  if (stored === 'missing') {
    sendEmpty(res, 404);
  } else if (stored === 'exists') {
    sendText(res, 'File already exists', { status: 409 });
  } else {
    sendJson(res, isTrue(query, 'full_info') ? wireInfo(stored) : stored.path);
  }
}

function wireInfo({ path, size, modifiedMs, createdMs }: UserFileInfo) {
  return { path, size, modified: Math.trunc(modifiedMs), created: Math.trunc(createdMs) };
}

function isTrue(query: URLSearchParams, name: string): boolean {
  return query.get(name)?.toLowerCase() === 'true';
}

/** Only the text `false` keeps an existing file: the frontend also sends `overwrite=undefined`. */
function onExisting(query: URLSearchParams): 'replace' | 'refuse' {
  return query.get('overwrite') === 'false' ? 'refuse' : 'replace';
}

function fileParam(req: Request, name: 'file' | 'dest'): string {
  return unquote(readParam(req, name));
}

/** The router has decoded once; ComfyUI decodes what still holds a `%` once more. */
function unquote(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // "100%.json": nothing to decode
  }
}
