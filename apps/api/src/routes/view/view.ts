import { basename } from 'node:path';
import { AppError, isFileType } from '@tiercel/contracts';
import type { PictureEditor, Transform } from '@tiercel/pictures';
import type { TenantFiles } from '@tiercel/storage';
import type { Request, Response } from 'express';
import { sendEmpty } from '../../http/answer.ts';
import { callerOf } from '../../identity/caller-of.ts';
import { readQuery } from '../../http/read-request.ts';
import type { Route } from '../../http/route.ts';
import { contentOf, dispositionOf, sendFile } from '../../http/send-file.ts';
import { parseStoredName } from '../stored-names.ts';
import { withPicture } from './with-picture.ts';

export interface ViewDeps {
  readonly files: Pick<TenantFiles, 'of'>;
  /** Encodes pictures for `preview` and `channel`. */
  readonly pictures: PictureEditor;
}

/** GET /view: stored files, as ComfyUI 0.3.64 serves them (wire 9.1 to 9.4). */
export function createViewRoutes(deps: ViewDeps): Route[] {
  return [{ method: 'GET', path: '/view', handle: (req, res) => view(deps, req, res) }];
}

async function view(deps: ViewDeps, req: Request, res: Response): Promise<void> {
  const query = readQuery(req);
  const annotated = query.get('filename');
  if (annotated === null) {
    sendEmpty(res, 404);
    return;
  }
  const { name, folder, isUsable } = parseStoredName(annotated);
  const type = folder ?? query.get('type') ?? 'output';
  if (!isFileType(type)) {
    throw new AppError('bad_request', 'type must be output, input or temp.');
  }
  if (!isUsable) {
    throw new AppError('bad_request', 'filename must be the name of a file in that folder.');
  }
  const filename = basename(name);
  const subfolder = query.get('subfolder') ?? '';
  const found = await deps.files.of(callerOf(res).tenant).find({ filename, subfolder, type });
  if (found === null) {
    sendEmpty(res, 404);
    return;
  }

  const transform = transformOf(query);
  if (transform === null) {
    const content = contentOf(filename, req.get('sec-fetch-dest'));
    res.setHeader('Content-Type', content.type);
    res.setHeader('Content-Disposition', dispositionOf(filename, !content.isInert));
    for (const [name, value] of Object.entries(content.headers ?? {})) res.setHeader(name, value);
    sendFile(req, res, found, content.variant);
    return;
  }
  const source = { name: filename, content: found.path };
  await withPicture(
    res,
    (signal) => deps.pictures.transform(source, transform, signal),
    (picture) => {
      res.setHeader('Content-Type', picture.type);
      res.setHeader('Content-Disposition', dispositionOf(filename, false));
      res.setHeader('X-Content-Type-Options', 'nosniff');
      res.setHeader('Content-Length', picture.bytes.length);
      res.end(picture.bytes);
    },
  );
}

const DEFAULT_QUALITY = 90;

/** `preview=webp|jpeg[;quality]` wins over `channel=rgb|a`; null when the file itself is wanted. */
function transformOf(query: URLSearchParams): Transform | null {
  const preview = query.get('preview');
  const channel = query.get('channel') ?? '';
  if (preview !== null) {
    const parts = preview.split(';');
    // Any other format, and any channel with an "a" in it, means WebP, because that has alpha.
    const format = parts[0] === 'jpeg' && !channel.includes('a') ? 'jpeg' : 'webp';
    const last = parts.at(-1) ?? '';
    const quality = /^\d+$/.test(last) ? Math.min(100, Math.max(1, Number(last))) : DEFAULT_QUALITY;
    const alpha = format === 'jpeg' || channel === 'rgb' ? 'drop' : 'keep';
    return { kind: 'preview', format, quality, alpha };
  }
  if (channel === 'rgb') return { kind: 'rgb' };
  if (channel === 'a') return { kind: 'alpha' };
  return null;
}
