import { open, rm } from 'node:fs/promises';
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { AppError, isAppError } from '@tiercel/contracts';
import { translateFileError, type FileStore } from '@tiercel/storage';
import type { Request, Response } from 'express';
import multer, { MulterError } from 'multer';
import { openBody, readFailure } from '../../http/open-body.ts';
import { discard } from '../../http/read-body.ts';
import { decodeField, partDecoder } from './part-encoding.ts';

/** Beyond the file: part headers, boundaries and the few short fields. */
const OVERHEAD_BYTES = 256 * 1024;

/** The largest form that can hold a file of that size. */
export function maxFormBytes(maxUploadBytes: number): number {
  return maxUploadBytes + OVERHEAD_BYTES;
}

export interface UploadedImage {
  readonly path: string;
  readonly filename: string;
}

export interface UploadForm {
  readonly fields: ReadonlyMap<string, string>;
  /** The part named `image`, on disk; whoever reads the form removes it with discard. */
  readonly image: UploadedImage | null;
  discard(): Promise<void>;
}

/** @param files where its file goes */
export type FormReader = (req: Request, res: Response, files: FileStore) => Promise<UploadForm>;

/** What the parser tells of a part. */
interface PartInfo {
  readonly encoding: string;
}

/** `streamHandler` is in multer's manual, and not in its types. */
type MulterOptions = multer.Options & {
  readonly streamHandler: (req: Request, parser: Writable) => void;
};

/**
 * Reads multipart bodies, compressed ones and encoded parts too: the file goes to the disk as it
 * arrives, the fields to memory, each under a limit. On any error, an aborted request among them, what was
 * written is removed.
 */
export function createFormReader(maxUploadBytes: number): FormReader {
  const maxBodyBytes = maxFormBytes(maxUploadBytes);
  const tooLarge = (limit = `${maxUploadBytes} bytes`, cause?: unknown) =>
    new AppError('body_too_large', `Uploads are limited to ${limit}.`, { cause });

  const parseForm = (req: Request, res: Response, files: FileStore, body: Readable) =>
    new Promise<Map<string, string>>((resolve, reject) => {
      const writing: Promise<{ path: string }>[] = [];
      const partEncodings = new WeakMap<Readable, string>();
      const fieldEncodings = new Map<string, string>();
      let parser: Writable | undefined;
      let hasFailed = false;
      /** Not by multer's callback, which waits for a body that may never end. */
      const fail = (error: unknown) => {
        if (hasFailed) return;
        hasFailed = true;
        parser?.destroy();
        const removed = writing.map((file) => file.then(({ path }) => rm(path, { force: true })));
        void Promise.allSettled(removed).then(() => {
          reject(translate(error));
        });
      };
      const translate = (cause: unknown): AppError => {
        if (cause instanceof AppError) return cause;
        if (cause instanceof MulterError && cause.code.startsWith('LIMIT_')) {
          return tooLarge('a few short fields', cause);
        }
        // A system error (disk full) is the storage's; anything else is a body that is not whole multipart.
        const known = translateFileError(cause);
        if (isAppError(known)) return known;
        return new AppError('bad_request', 'The body is not a whole multipart form.', { cause });
      };
      const limit = async function* (source: AsyncIterable<Buffer>) {
        let size = 0;
        for await (const chunk of source) {
          size += chunk.length;
          if (size > maxUploadBytes) {
            // Said here: to multer the part just ends with an abort.
            fail(tooLarge());
            return;
          }
          yield chunk;
        }
      };
      const storeFile = async (part: Readable, encoding: string): Promise<{ path: string }> => {
        const path = await files.createUploadPath();
        // Open before anything may fail: a file that is opened later would come after its removal.
        const target = (await open(path, 'wx')).createWriteStream();
        try {
          const decode = partDecoder(encoding);
          if (decode === undefined) await pipeline(part, limit, target);
          else await pipeline(part, decode, limit, target);
          return { path };
        } catch (error) {
          target.destroy(); // a part that cannot be decoded has not begun to use it
          await rm(path, { force: true });
          throw error;
        }
      };
      const options: MulterOptions = {
        storage: {
          _handleFile: (_req, { stream }, done) => {
            const stored = storeFile(stream, partEncodings.get(stream) ?? '');
            writing.push(stored);
            stored.then(
              (file) => {
                done(null, file);
              },
              (error: unknown) => {
                fail(error);
                done(error);
              },
            );
          },
          _removeFile: (_req, { path }, done) => {
            rm(path, { force: true }).then(() => {
              done(null);
            }, done);
          },
        },
        streamHandler: (_req, stream) => {
          parser = stream;
          // multer does not tell how a part is encoded.
          parser.prependListener('field', (name: string, _value, info: PartInfo) => {
            if (!fieldEncodings.has(name)) fieldEncodings.set(name, info.encoding);
          });
          parser.prependListener('file', (_name, part: Readable, info: PartInfo) => {
            partEncodings.set(part, info.encoding);
          });
          let size = 0;
          body.on('data', (chunk: Buffer) => {
            size += chunk.length;
            if (size > maxBodyBytes) fail(tooLarge());
          });
          body.on('error', (error) => {
            fail(readFailure(error));
          });
          // Not pipeline: a form that is refused would take the request with it, and so its own refusal.
          body.pipe(parser);
        },
        preservePath: true, // `../evil.png` is to be refused, not stored as `evil.png`
        defParamCharset: 'utf8',
        fileFilter: (_req, file, accept) => {
          accept(null, file.fieldname === 'image');
        },
        limits: {
          files: 4,
          fields: 16,
          parts: 20,
          fieldNameSize: 100,
          fieldSize: 64 * 1024,
          headerPairs: 32,
          fieldNestingDepth: 1,
          fieldArrayIndexLimit: 4,
        },
      };
      multer(options).any()(req, res, (error: unknown) => {
        if (error === undefined || error === null) resolve(fieldEncodings);
        else fail(error);
      });
    });

  return async (req, res, files) => {
    if (Number(req.headers['content-length'] ?? 0) > maxBodyBytes) throw tooLarge();
    const body = await openBody(req);
    try {
      const encodings = await parseForm(req, res, files, body);
      return await readForm(req, encodings);
    } catch (error) {
      discard(req, body);
      throw error;
    }
  };
}

async function readForm(req: Request, encodings: ReadonlyMap<string, string>): Promise<UploadForm> {
  const stored = Array.isArray(req.files) ? req.files : [];
  const discardFiles = async () => {
    await Promise.all(stored.map(({ path }) => rm(path, { force: true })));
  };
  const fields = new Map<string, string>();
  const body: unknown = req.body;
  try {
    if (typeof body === 'object' && body !== null) {
      for (const [name, value] of Object.entries(body)) {
        // A repeated field comes as an array: the first counts, as everywhere.
        const first: unknown = Array.isArray(value) ? value[0] : value;
        if (typeof first !== 'string') continue;
        fields.set(name, await decodeField(first, encodings.get(name) ?? ''));
      }
    }
  } catch (error) {
    await discardFiles();
    throw error;
  }
  const [image] = stored;
  return {
    fields,
    image: image === undefined ? null : { path: image.path, filename: image.originalname },
    discard: discardFiles,
  };
}
