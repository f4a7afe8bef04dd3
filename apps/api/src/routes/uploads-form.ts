import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AppError, isAppError } from '@tiercel/contracts';
import { translateFileError, type FileStore } from '@tiercel/storage';
import type { Request, Response } from 'express';
import multer, { MulterError, type StorageEngine } from 'multer';

/** Beyond the file: part headers, boundaries and the few short fields. */
const OVERHEAD_BYTES = 256 * 1024;

export interface UploadForm {
  readonly fields: ReadonlyMap<string, string>;
  /** The part named `image`, on disk; whoever reads the form removes it with discard. */
  readonly image: { readonly path: string; readonly filename: string } | null;
  discard(): Promise<void>;
}

export type FormReader = (req: Request, res: Response) => Promise<UploadForm>;

/**
 * Reads multipart bodies: the file goes to the disk as it arrives, the fields to memory, each under
 * a limit. On any error, an aborted request among them, multer removes what it had written.
 */
export function createFormReader(files: FileStore, maxUploadBytes: number): FormReader {
  const parse = multer({
    storage: storeIn(files),
    preservePath: true, // `../evil.png` is to be refused, not stored as `evil.png`
    defParamCharset: 'utf8',
    fileFilter: (_req, file, accept) => {
      accept(null, file.fieldname === 'image');
    },
    limits: {
      fileSize: maxUploadBytes,
      files: 4,
      fields: 16,
      parts: 20,
      fieldNameSize: 100,
      fieldSize: 64 * 1024,
      headerPairs: 32,
      fieldNestingDepth: 1,
      fieldArrayIndexLimit: 4,
    },
  }).any();

  return async (req, res) => {
    if (Number(req.headers['content-length'] ?? 0) > maxUploadBytes + OVERHEAD_BYTES) {
      throw new AppError('body_too_large', `Uploads are limited to ${maxUploadBytes} bytes.`);
    }
    await new Promise<void>((resolve, reject) => {
      parse(req, res, (error: unknown) => {
        if (error === undefined || error === null) resolve();
        else reject(translate(error, maxUploadBytes));
      });
    });
    return readForm(req);
  };
}

function storeIn(files: FileStore): StorageEngine {
  return multer.diskStorage({
    destination: (_req, _file, done) => {
      files.createUploadPath().then(
        (path) => {
          done(null, dirname(path));
        },
        (error: unknown) => {
          done(error instanceof Error ? error : new Error('no folder for uploads'), '');
        },
      );
    },
    filename: (_req, _file, done) => {
      done(null, randomUUID());
    },
  });
}

function readForm(req: Request): UploadForm {
  const stored = Array.isArray(req.files) ? req.files : [];
  const fields = new Map<string, string>();
  const body: unknown = req.body;
  if (typeof body === 'object' && body !== null) {
    for (const [name, value] of Object.entries(body)) {
      // A repeated field comes as an array: the first counts, as everywhere.
      const first: unknown = Array.isArray(value) ? value[0] : value;
      if (typeof first === 'string') fields.set(name, first);
    }
  }
  const [image] = stored;
  return {
    fields,
    image: image === undefined ? null : { path: image.path, filename: image.originalname },
    discard: async () => {
      await Promise.all(stored.map(({ path }) => rm(path, { force: true })));
    },
  };
}

function translate(cause: unknown, maxUploadBytes: number): AppError {
  if (cause instanceof MulterError && cause.code.startsWith('LIMIT_')) {
    const limit =
      cause.code === 'LIMIT_FILE_SIZE' ? `${maxUploadBytes} bytes` : 'a few short fields';
    return new AppError('body_too_large', `Uploads are limited to ${limit}.`, { cause });
  }
  // A system error (disk full) is the storage's; anything else is a body that is not whole multipart.
  const known = translateFileError(cause);
  if (isAppError(known)) return known;
  return new AppError('bad_request', 'The body is not a whole multipart form.', { cause });
}
