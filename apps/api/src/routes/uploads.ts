import {
  isFileType,
  isJsonObject,
  parseJson,
  type FileType,
  type JsonObject,
} from '@tiercel/contracts';
import { readTextChunks, replaceTextChunks, type PictureEditor } from '@tiercel/pictures';
import { parseAnnotated, type FileStore, type StoredUpload } from '@tiercel/storage';
import type { Request, Response } from 'express';
import type { Route } from '../http/route.ts';
import { createFormReader, type UploadForm } from './uploads-form.ts';
import { endEmpty, orNullIfRefused } from './view-http.ts';
import { withPicture } from './view-pictures.ts';

export interface UploadDeps {
  readonly files: FileStore;
  /** Largest file; told to clients as max_upload_size. */
  readonly maxUploadBytes: number;
  /** Makes pictures of /upload/mask. */
  readonly pictures: PictureEditor;
}

/** The stored file, or the status of an answer without body. */
type UploadResult = StoredUpload | 400 | 403 | 404;
type UploadHandler = (
  deps: UploadDeps,
  form: UploadForm,
  res: Response,
) => Promise<UploadResult | undefined>;

/**
 * POST /upload/image and /upload/mask, as ComfyUI 0.3.64 (transcript 15). Any kind of file is taken.
 * One difference: an unknown `type` is answered with 400, where ComfyUI fails with 500.
 */
export function createUploadRoutes(deps: UploadDeps): Route[] {
  const readForm = createFormReader(deps.files, deps.maxUploadBytes);
  const answerWith = (handler: UploadHandler) => async (req: Request, res: Response) => {
    const form = await readForm(req, res);
    const result = await handler(deps, form, res).finally(() => form.discard());
    if (result === undefined) return; // the caller has gone away
    if (typeof result === 'number') endEmpty(res, result);
    else res.json(result);
  };
  return [
    { method: 'POST', path: '/upload/image', body: 'none', handle: answerWith(uploadImage) },
    { method: 'POST', path: '/upload/mask', body: 'none', handle: answerWith(uploadMask) },
  ];
}

async function uploadImage(deps: UploadDeps, form: UploadForm): Promise<UploadResult> {
  const type = form.fields.get('type') ?? 'input';
  if (form.image === null || !isFileType(type)) return 400;
  return store(deps, form, {
    type,
    filename: form.image.filename,
    workPath: form.image.path,
  });
}

/** The uploaded picture's alpha becomes that of the picture `original_ref` names; PNG text is kept. */
async function uploadMask(
  deps: UploadDeps,
  form: UploadForm,
  res: Response,
): Promise<UploadResult | undefined> {
  const type = form.fields.get('type') ?? 'input';
  const reference = parseReference(form.fields.get('original_ref'));
  const { image } = form;
  if (image === null || !isFileType(type) || reference === null) return 400;
  const original = await orNullIfRefused(deps.files.find(reference));
  if (original === null) return 403;
  if (original.value === null) return 404;
  const { path } = original.value;
  const source = { name: reference.filename, content: path };
  const mask = { name: image.filename, content: image.path };
  return withPicture(
    res,
    (signal) => deps.pictures.replaceAlpha(source, mask, signal),
    async ({ bytes }) => {
      const parts = replaceTextChunks(bytes, await readTextChunks(path));
      const workPath = await deps.files.writeUpload(parts);
      return store(deps, form, { type, filename: image.filename, workPath });
    },
  );
}

async function store(
  deps: UploadDeps,
  form: UploadForm,
  file: { type: FileType; filename: string; workPath: string },
): Promise<UploadResult> {
  const overwrite = form.fields.get('overwrite');
  const saved = deps.files.saveUpload({
    ...file,
    subfolder: form.fields.get('subfolder') ?? '',
    onExisting: overwrite === 'true' || overwrite === '1' ? 'replace' : 'rename',
  });
  const stored = await orNullIfRefused(saved);
  return stored === null ? 400 : stored.value;
}

interface Reference {
  readonly filename: string;
  readonly subfolder: string;
  readonly type: FileType;
}

/** `{filename, subfolder?, type?}`; null when it cannot name a file. */
function parseReference(text: string | undefined): Reference | null {
  const reference = parseObject(text);
  const { filename, subfolder = '', type = 'output' } = reference ?? {};
  if (typeof filename !== 'string' || typeof subfolder !== 'string') return null;
  const { name, type: annotation } = parseAnnotated(filename);
  if (name === '' || name.startsWith('/') || name.includes('..')) return null;
  const folder = annotation ?? type;
  return isFileType(folder) ? { filename: name, subfolder, type: folder } : null;
}

function parseObject(text: string | undefined): JsonObject | null {
  try {
    const value = parseJson(text ?? '');
    return isJsonObject(value) ? value : null;
  } catch {
    return null; // not JSON: answered with 400 as any other unusable reference
  }
}
