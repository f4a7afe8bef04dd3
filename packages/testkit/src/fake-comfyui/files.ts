import { createHash, randomInt } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, extname, join, relative, resolve } from 'node:path';
import { FILE_TYPES, isFileType, type FileType, type OutputRef } from '@tiercel/contracts';

/** A name that leaves its folder, or a type that is none: the status that ComfyUI answers. */
export class FileRefusal extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`refused with ${status}`);
    this.status = status;
  }
}

export interface Upload {
  readonly name: string;
  readonly subfolder: string;
  readonly type: FileType;
  readonly bytes: Buffer;
  readonly overwrite: boolean;
}

/** ComfyUI's three folders, on disk. Inputs and outputs outlive the process, temporary files do not. */
export class FakeFiles {
  readonly #folder: string;
  /** Prefix -> last counter: reading the folder each time would make every save slower than the last. */
  readonly #counters = new Map<string, number>();
  readonly #letters = Array.from({ length: 5 }, () => String.fromCharCode(97 + randomInt(26))).join(
    '',
  );

  constructor(folder: string) {
    this.#folder = folder;
    rmSync(join(folder, 'temp'), { recursive: true, force: true });
    for (const type of FILE_TYPES) mkdirSync(join(folder, type), { recursive: true });
  }

  /** The prefix of this process's temporary files: `ComfyUI_temp_abcde`. */
  get tempPrefix(): string {
    return `ComfyUI_temp_${this.#letters}`;
  }

  /** Writes `prefix_00001_.extension`, or the next free number. `prefix` may name a subfolder. */
  save(type: FileType, prefix: string, extension: string, bytes: Buffer): OutputRef {
    const name = basename(prefix);
    const subfolder = prefix.slice(0, -name.length).replace(/\/$/, '');
    const folder = this.#resolve(type, subfolder);
    mkdirSync(folder, { recursive: true });
    const key = `${type}/${prefix}`;
    const counter = (this.#counters.get(key) ?? findLastCounter(folder, name)) + 1;
    this.#counters.set(key, counter);
    const filename = `${name}_${String(counter).padStart(5, '0')}_.${extension}`;
    writeFileSync(join(folder, filename), bytes);
    return { filename, subfolder, type };
  }

  /** Writes exactly this file of the output folder; the name may have a subfolder. */
  saveAs(name: string, bytes: Buffer): OutputRef {
    const filename = basename(name);
    const subfolder = name.slice(0, -filename.length).replace(/\/$/, '');
    const folder = this.#resolve('output', subfolder);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, filename), bytes);
    return { filename, subfolder, type: 'output' };
  }

  /** Writes another file of the same name but for its extension. */
  saveBeside(saved: OutputRef, extension: string, bytes: Buffer): OutputRef {
    const filename = saved.filename.replace(/[^.]+$/, extension);
    writeFileSync(join(this.#resolve(saved.type, saved.subfolder), filename), bytes);
    return { ...saved, filename };
  }

  /**
   * Stores an upload. An equal name with other content becomes `name (1).ext` unless `overwrite`.
   * @throws FileRefusal 400
   */
  upload({ name, subfolder, type, bytes, overwrite }: Upload): OutputRef {
    const folder = this.#resolve(type, subfolder, 400);
    if (relative(folder, resolve(folder, name)) !== basename(name)) throw new FileRefusal(400);
    mkdirSync(folder, { recursive: true });
    const extension = extname(name);
    const stem = name.slice(0, name.length - extension.length);
    let filename = name;
    for (let n = 1; !overwrite && existsSync(join(folder, filename)); n += 1) {
      if (readFileSync(join(folder, filename)).equals(bytes)) break;
      filename = `${stem} (${n})${extension}`;
    }
    writeFileSync(join(folder, filename), bytes);
    return { filename, subfolder, type };
  }

  /**
   * The file that /view names (wire 9.1, 9.2).
   * @throws FileRefusal 400, 403 or 404
   */
  view(query: URLSearchParams): { readonly filename: string; readonly bytes: Buffer } {
    const asked = query.get('filename');
    if (asked === null) throw new FileRefusal(404);
    const { name, type } = splitAnnotation(asked, query.get('type') ?? 'output');
    if (name === '' || name.startsWith('/') || name.includes('..')) throw new FileRefusal(400);
    if (!isFileType(type)) throw new FileRefusal(400);
    const folder = this.#resolve(type, query.get('subfolder') ?? '');
    const filename = basename(name);
    const path = join(folder, filename);
    if (!existsSync(path)) throw new FileRefusal(404);
    return { filename, bytes: readFileSync(path) };
  }

  /** The bytes of a file as nodes name it (`sub/name.png`, `name.png [temp]`); undefined: there is none. */
  readAnnotated(annotated: string): Buffer | undefined {
    const { name, type } = splitAnnotation(annotated, 'input');
    if (!isFileType(type)) return undefined;
    const path = resolve(this.#folder, type, name);
    return existsSync(path) ? readFileSync(path) : undefined;
  }

  /** A change of this text means that the file has changed. */
  fingerprint(annotated: string): string {
    const bytes = this.readAnnotated(annotated);
    return bytes === undefined ? '' : createHash('sha256').update(bytes).digest('hex');
  }

  /** The names directly in the input folder, sorted. */
  listInputs(): string[] {
    const entries = readdirSync(join(this.#folder, 'input'), { withFileTypes: true });
    return entries.flatMap((entry) => (entry.isFile() ? [entry.name] : [])).sort();
  }

  #resolve(type: FileType, subfolder: string, status = 403): string {
    const base = resolve(this.#folder, type);
    const folder = resolve(base, subfolder);
    if (folder !== base && !folder.startsWith(`${base}/`)) throw new FileRefusal(status);
    return folder;
  }
}

function splitAnnotation(text: string, type: string): { name: string; type: string } {
  const [, name, annotated] = /^(.*) \[(output|input|temp)\]$/.exec(text) ?? [];
  return name === undefined || annotated === undefined
    ? { name: text, type }
    : { name, type: annotated };
}

function findLastCounter(folder: string, name: string): number {
  const numbers = readdirSync(folder).flatMap((file) => {
    if (!file.startsWith(`${name}_`)) return [];
    return [Number(/^(\d+)_?\./.exec(file.slice(name.length + 1))?.[1] ?? 0)];
  });
  return Math.max(0, ...numbers);
}
