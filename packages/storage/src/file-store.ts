import { createReadStream } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  AppError,
  FILE_TYPES,
  type FileType,
  type NewOutput,
  type OutputRef,
} from '@tiercel/contracts';
import { parseAnnotated } from './caller-names.ts';
import { FileNotFoundError, findFile, type FoundFile } from './found-file.ts';
import { NameCounters, type FileMaker } from './name-counters.ts';
import { errnoOf, isAbsent, onFiles, translateFileError } from './node-errors.ts';
import { expandPrefix, splitPrefix } from './output-names.ts';
import { createFile, createWorkPath, commitNew, writeWorkFile } from './atomic-file.ts';
import { purgeFolder } from './purge.ts';
import { joinInside, resolveInside, toSlashes, WORK_FOLDER } from './safe-path.ts';
import { commitUpload, commitUploadOver } from './upload-names.ts';

/** Names a stored file; ComfyUI's defaults are no subfolder and `output`. */
export interface FileRef {
  readonly filename: string;
  readonly subfolder?: string | undefined;
  readonly type?: FileType | undefined;
}

export interface NewUpload {
  readonly type: FileType;
  readonly subfolder: string;
  readonly filename: string;
  /** A finished file from createUploadPath or writeUpload; it is gone afterwards, in any case. */
  readonly workPath: string;
  /** replace: an existing file of that name gives way; rename: the upload gets another name. */
  readonly onExisting: 'replace' | 'rename';
}

export interface StoredUpload {
  readonly name: string;
  readonly subfolder: string;
  readonly type: FileType;
}

const EXTENSION = /^\.[A-Za-z0-9]{1,16}$/;
/** Output folders remembered as checked. */
const MAX_FOLDERS = 10_000;
/** More than a file system keeps in a corner of a full disk. */
const PROBE = Buffer.alloc(64 * 1024);
/** Work files older than this were left by a process that died. */
const ABANDONED_AFTER_MS = 6 * 60 * 60 * 1000;

/**
 * ComfyUI's file space below one folder: `output/`, `input/`, `temp/`. Several processes use it at
 * once; what they need to agree on, they agree on through the file system. Contents are not synced
 * to the disk at each write: a killed process loses nothing, a power cut may lose the last seconds.
 * A file system that fails makes AppError storage_unavailable of every method; no error names a path.
 */
export class FileStore {
  readonly #root: string;
  readonly #counters = new NameCounters();
  readonly #outputFolders = new Map<string, Promise<string>>();

  /** @param root DATA_DIR; made when first written to */
  constructor(root: string) {
    this.#root = root;
  }

  /**
   * Stores an output under the next free name of its prefix.
   * @param now for the time placeholders of the prefix
   * @throws AppError path_refused when the prefix leaves the folder, bad_request when it cannot be a name,
   *         storage_unavailable
   */
  async saveOutput(output: NewOutput, now: Date = new Date()): Promise<OutputRef> {
    if (!EXTENSION.test(output.extension)) {
      throw new AppError('bad_request', 'The file extension cannot be used.');
    }
    const { naming, bytes } = output;
    const values = { now, width: output.width ?? 0, height: output.height ?? 0 };
    const prefix = naming === undefined ? expandPrefix(output.prefix, values) : output.prefix;
    const { subfolder, stem } = splitPrefix(prefix);
    const root = this.#folder(output.type);
    joinInside(root, stem);
    try {
      const folder = await this.#outputFolder(root, subfolder);
      const make = (file: FileMaker) => this.#createOutput({ folder, stem }, output, file);
      const filename =
        bytes instanceof Uint8Array
          ? await make((path) => createFile(path, bytes))
          : await placeParts(root, bytes, make);
      return { filename, subfolder, type: output.type };
    } catch (error) {
      throw translateFileError(error);
    }
  }

  /** Makes a file under the name that the output asks for, or the next free one. @returns the name */
  async #createOutput(
    { folder, stem }: { folder: string; stem: string },
    { naming, extension }: NewOutput,
    make: FileMaker,
  ): Promise<string> {
    const plain = `${stem}${extension}`;
    if (naming?.kind === 'plain' && (await make(join(folder, plain)))) return plain;
    const after = naming?.kind === 'numbered' ? naming.after : '_';
    return this.#counters.create(folder, stem, `${after}${extension}`, make);
  }

  /** Checked for links that lead outside at the first save only: asking the disk each time is slow. */
  #outputFolder(root: string, subfolder: string): Promise<string> {
    const key = joinInside(root, subfolder);
    let folder = this.#outputFolders.get(key);
    if (folder === undefined) {
      folder = resolveInside(root, subfolder);
      if (this.#outputFolders.size >= MAX_FOLDERS) this.#outputFolders.clear();
      this.#outputFolders.set(key, folder);
      folder.catch(() => this.#outputFolders.delete(key));
    }
    return folder;
  }

  /**
   * The stored file of that name, or null.
   * @throws AppError path_refused
   */
  async find(ref: FileRef): Promise<FoundFile | null> {
    const root = this.#folder(ref.type ?? 'output');
    return onFiles(async () =>
      findFile(await resolveInside(root, ref.subfolder ?? '', ref.filename)),
    );
  }

  async outputExists(ref: OutputRef): Promise<boolean> {
    return (await this.find(ref)) !== null;
  }

  /** find for "sub/a.png [temp]"; without annotation the file is looked for in `fallback`. */
  async resolveAnnotated(
    annotatedName: string,
    fallback: FileType = 'input',
  ): Promise<FoundFile | null> {
    const { name, type } = parseAnnotated(annotatedName);
    return this.find({ filename: name, type: type ?? fallback });
  }

  /**
   * The content of an input as a node names it.
   * @param beforeRead told the size in bytes; the file is read when that resolves
   * @throws FileNotFoundError; AppError path_refused; what `beforeRead` throws
   */
  async readInput(
    annotatedName: string,
    beforeRead?: (sizeBytes: number) => Promise<void>,
  ): Promise<Uint8Array> {
    const found = await this.resolveAnnotated(annotatedName);
    if (found === null) throw new FileNotFoundError(annotatedName);
    await beforeRead?.(found.size);
    try {
      return await readFile(found.path);
    } catch (error) {
      throw isAbsent(error) ? new FileNotFoundError(annotatedName) : translateFileError(error);
    }
  }

  /**
   * An input as a node names it, to be read in parts.
   * @throws FileNotFoundError; AppError path_refused
   */
  async openInput(
    annotatedName: string,
  ): Promise<{ readonly sizeBytes: number; read(): AsyncIterable<Uint8Array> }> {
    const found = await this.resolveAnnotated(annotatedName);
    if (found === null) throw new FileNotFoundError(annotatedName);
    return { sizeBytes: found.size, read: () => createReadStream(found.path) };
  }

  /**
   * A text that changes when the input may have changed.
   * @throws FileNotFoundError; AppError path_refused
   */
  async fingerprint(annotatedName: string): Promise<string> {
    const found = await this.resolveAnnotated(annotatedName);
    if (found === null) throw new FileNotFoundError(annotatedName);
    return found.version;
  }

  /**
   * Names of the files directly in a folder: by name, as LoadImage's list; or newest first and
   * without hidden ones, as /internal/files.
   */
  async listFiles(type: FileType, order: 'name' | 'newest' = 'name'): Promise<string[]> {
    const names = await onFiles(() => this.#fileNames(type));
    if (order === 'name') return names.sort();
    const dated = await Promise.all(
      names
        .filter((name) => !name.startsWith('.'))
        .map(async (name) => ({ name, file: await findFile(join(this.#folder(type), name)) })),
    );
    return dated
      .sort((a, b) => (b.file?.mtimeMs ?? 0) - (a.file?.mtimeMs ?? 0))
      .map(({ name }) => name);
  }

  /** A path where an upload may be written before saveUpload gives it its name. */
  createUploadPath(): Promise<string> {
    return onFiles(() => createWorkPath(this.#folder('input')));
  }

  /** Writes bytes, or parts of a file, where saveUpload takes them from. */
  writeUpload(bytes: Uint8Array | readonly Uint8Array[]): Promise<string> {
    return onFiles(() => writeWorkFile(this.#folder('input'), bytes));
  }

  /**
   * Gives an uploaded file its name, by ComfyUI's rules (see placeUpload).
   * @throws AppError path_refused when subfolder or name leave the folder, bad_request for impossible names
   */
  async saveUpload(upload: NewUpload): Promise<StoredUpload> {
    const { type, filename, workPath } = upload;
    const subfolder = toSlashes(upload.subfolder).replace(/\/+$/, '');
    try {
      if (filename === '' || filename === '.' || filename.includes('/')) {
        throw new AppError('path_refused', 'The file name is not allowed.');
      }
      const root = this.#folder(type);
      await resolveInside(root, subfolder, filename);
      const folder = joinInside(root, subfolder);
      const place = upload.onExisting === 'replace' ? commitUploadOver : commitUpload;
      return { name: await place(workPath, folder, filename), subfolder, type };
    } catch (error) {
      throw translateFileError(error);
    } finally {
      await rm(workPath, { force: true });
    }
  }

  /**
   * Writes to each folder and takes it back.
   * @returns the error code of the file system when that cannot be done (`ENOSPC`, `EROFS`, ...), else undefined
   */
  async findWriteProblem(): Promise<string | undefined> {
    try {
      for (const type of FILE_TYPES) {
        const path = await writeWorkFile(this.#folder(type), PROBE);
        await rm(path);
      }
      return undefined;
    } catch (error) {
      return errnoOf(error) ?? 'cannot be written';
    }
  }

  /**
   * Removes files of `temp/` older than `maxAgeMs`, and work files that a dead process left.
   * @returns how many files went
   */
  async purgeTemp(maxAgeMs: number, nowMs: number = Date.now()): Promise<number> {
    let removed = await purgeFolder(this.#folder('temp'), nowMs - maxAgeMs);
    for (const folder of [...FILE_TYPES, 'user/default']) {
      const work = join(this.#root, folder, WORK_FOLDER);
      removed += await purgeFolder(work, nowMs - ABANDONED_AFTER_MS);
    }
    return removed;
  }

  #folder(type: FileType): string {
    return join(this.#root, type);
  }

  async #fileNames(type: FileType): Promise<string[]> {
    const folder = this.#folder(type);
    try {
      const entries = await readdir(folder, { withFileTypes: true });
      return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
    } catch (error) {
      if (isAbsent(error)) return [];
      throw error;
    }
  }
}

/** Written under another name until it is whole: its parts may take long, and may end in an error. */
async function placeParts(
  root: string,
  parts: AsyncIterable<Uint8Array>,
  make: (file: FileMaker) => Promise<string>,
): Promise<string> {
  const workPath = await writeWorkFile(root, parts);
  try {
    return await make((path) => commitNew(workPath, path));
  } finally {
    await rm(workPath, { force: true });
  }
}
