import {
  AppError,
  isFileType,
  isJsonObject,
  parseJson,
  type FileType,
  type JsonObject,
} from '@tiercel/contracts';
import { readTextChunks, replaceTextChunks, type PictureEditor } from '@tiercel/pictures';
import { uploadName, type FileStore, type StoredUpload, type TenantFiles } from '@tiercel/storage';
import type { Request, Response } from 'express';
import { sendEmpty, sendJson } from '../../http/answer.ts';
import { callerOf } from '../../identity/caller-of.ts';
import type { Route } from '../../http/route.ts';
import { orNullIfRefused, parseStoredName } from '../stored-names.ts';
import { withPicture } from '../view/with-picture.ts';
import { createFormReader, type UploadedImage, type UploadForm } from './form.ts';

export interface UploadDeps {
  readonly files: Pick<TenantFiles, 'of'>;
  /** Largest file; told to clients as max_upload_size. */
  readonly maxUploadBytes: number;
  /** Makes pictures of /upload/mask. */
  readonly pictures: PictureEditor;
}

/** For one request: the files are its caller's. */
type TenantDeps = Omit<UploadDeps, 'files'> & { readonly files: FileStore };

/** The stored file; null when the picture that a mask is for does not exist. */
type UploadResult = StoredUpload | null;
/** Gives undefined when the caller has gone away. */
type UploadHandler = (
  deps: TenantDeps,
  form: UploadForm,
  res: Response,
) => Promise<UploadResult | undefined>;

/**
 * POST /upload/image and /upload/mask, as ComfyUI 0.3.64 (wire 9.5 to 9.7). Any kind of file is taken.
 * One difference: an unknown `type` is answered with 400, where ComfyUI fails with 500.
 */
export function createUploadRoutes(deps: UploadDeps): Route[] {
  const readForm = createFormReader(deps.maxUploadBytes);
  const answerWith = (handler: UploadHandler) => async (req: Request, res: Response) => {
    const files = deps.files.of(callerOf(res).tenant);
    const form = await readForm(req, res, files);
    const result = await handler({ ...deps, files }, form, res).finally(() => form.discard());
    if (result === undefined) return;
    if (result === null) sendEmpty(res, 404);
    else sendJson(res, result);
  };
  return [
    { method: 'POST', path: '/upload/image', body: 'none', handle: answerWith(uploadImage) },
    { method: 'POST', path: '/upload/mask', body: 'none', handle: answerWith(uploadMask) },
  ];
}

async function uploadImage(deps: TenantDeps, form: UploadForm): Promise<UploadResult> {
  const { image, type } = readTarget(form);
  return store(deps, form, { type, filename: image.filename, workPath: image.path });
}

/** @throws AppError bad_request */
function readTarget({ image, fields }: UploadForm): { image: UploadedImage; type: FileType } {
  const type = fields.get('type') ?? 'input';
  if (image === null) {
    throw new AppError('bad_request', 'The form has no file in a part named image.');
  }
  if (!isFileType(type)) {
    throw new AppError('bad_request', 'type must be output, input or temp.');
  }
  return { image, type };
}

/** The uploaded picture's alpha becomes that of the picture `original_ref` names; PNG text is kept. */
async function uploadMask(
  deps: TenantDeps,
  form: UploadForm,
  res: Response,
): Promise<UploadResult | undefined> {
  const { image, type } = readTarget(form);
  const reference = parseReference(form.fields.get('original_ref'));
  if (reference === null) {
    throw new AppError('bad_request', 'original_ref must be JSON that names a stored picture.');
  }
  const original = await deps.files.find(reference);
  if (original === null) return null;
  const { path } = original;
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
  deps: TenantDeps,
  form: UploadForm,
  file: { type: FileType; filename: string; workPath: string },
): Promise<UploadResult> {
  const overwrite = form.fields.get('overwrite');
  const saved = deps.files.saveUpload({
    ...file,
    filename: uploadName(file.filename),
    subfolder: form.fields.get('subfolder') ?? '',
    onExisting: overwrite === 'true' || overwrite === '1' ? 'replace' : 'rename',
  });
  const stored = await orNullIfRefused(saved);
  if (stored !== null) return stored.value;
  // 400, as ComfyUI answers where it says 403 elsewhere.
  throw new AppError('bad_request', 'The file name or the subfolder leaves its folder.');
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
  const { name, folder, isUsable } = parseStoredName(filename);
  const found = folder ?? type;
  return isUsable && isFileType(found) ? { filename: name, subfolder, type: found } : null;
}

function parseObject(text: string | undefined): JsonObject | null {
  try {
    const value = parseJson(text ?? '');
    return isJsonObject(value) ? value : null;
  } catch {
    return null; // not JSON: answered with 400 as any other unusable reference
  }
}
