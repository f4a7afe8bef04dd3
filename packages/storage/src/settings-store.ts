import { access, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  AppError,
  countJsonValues,
  isJsonObject,
  parseJson,
  stringifyJson,
  type JsonObject,
  type JsonValue,
} from '@tiercel/contracts';
import { withFileLock } from './file-lock.ts';
import { errnoOf, isAbsent, onFiles, translateFileError } from './node-errors.ts';
import { commitOver, writeWorkFile } from './atomic-file.ts';
import { WORK_FOLDER } from './safe-path.ts';

/** ComfyUI's own name for it, so that an existing user folder can be copied over. */
const SETTINGS_FILE = 'comfy.settings.json';
const LOCK = { staleMs: 10_000, timeoutMs: 30_000 };
const DEFAULT_MAX_BYTES = 2 * 1024 * 1024;
/** They are parsed at every reading and writing; a frontend has some hundreds. */
const MAX_VALUES = 20_000;

/** Values to set; undefined takes the key away. */
export type SettingsPatch = ReadonlyMap<string, JsonValue | undefined>;

export interface SettingsOptions {
  readonly maxBytes?: number;
  /** Those of a system on which nobody has stored any. */
  readonly initial?: JsonObject;
  /** Called when the file turns out not to hold settings, once until it holds some again. */
  readonly onUnreadable?: () => void;
}

interface Waiting {
  readonly patch: SettingsPatch;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The settings of the single user: one JSON object in a file, merged key by key. The frontend writes
 * it at every drag and zoom, so patches that arrive during a write go together into the next one.
 * Processes take turns by a lock file and each write replaces the file as a whole.
 */
export class SettingsStore {
  readonly #folder: string;
  readonly #maxBytes: number;
  readonly #initial: JsonObject;
  readonly #onUnreadable: () => void;
  #isUnreadable = false;
  #waiting: Waiting[] = [];
  #isWriting = false;

  constructor(folder: string, options: SettingsOptions = {}) {
    this.#folder = folder;
    this.#maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES;
    this.#initial = options.initial ?? {};
    this.#onUnreadable = options.onUnreadable ?? (() => undefined);
  }

  /** Nothing instead of settings that cannot be read, as ComfyUI 0.3.64. */
  async read(): Promise<JsonObject> {
    const stored = await onFiles(() => this.#load());
    return stored === 'unreadable' ? {} : stored;
  }

  /**
   * Merges into the stored settings; returns when they are written.
   * @throws AppError body_too_large when the settings would pass their limits (2 MiB, 20,000 values), storage_unavailable
   */
  merge(patch: SettingsPatch): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ patch, resolve, reject });
      if (!this.#isWriting) void this.#writeAll();
    });
  }

  async #writeAll(): Promise<void> {
    this.#isWriting = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        await withFileLock(this.#lockPath, LOCK, () => this.#apply(batch));
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(translateFileError(error));
      }
    }
    this.#isWriting = false;
  }

  async #apply(batch: readonly Waiting[]): Promise<void> {
    const settings = new Map(Object.entries(await this.#loadOrSetAside()));
    for (const { patch } of batch) {
      for (const [key, value] of patch) {
        if (value === undefined) settings.delete(key);
        else settings.set(key, value);
      }
    }
    const text = stringifyJson(Object.fromEntries(settings));
    if (Buffer.byteLength(text) > this.#maxBytes) {
      throw new AppError('body_too_large', `Settings are limited to ${this.#maxBytes} bytes.`);
    }
    if (countJsonValues(text) > MAX_VALUES) {
      throw new AppError('body_too_large', `Settings are limited to ${MAX_VALUES} values.`);
    }
    const workPath = await writeWorkFile(this.#folder, text);
    try {
      await commitOver(workPath, this.#path);
    } finally {
      await rm(workPath, { force: true });
    }
  }

  async #load(): Promise<JsonObject | 'unreadable'> {
    const stored = await this.#parseFile();
    const isUnreadable = stored === 'unreadable';
    if (isUnreadable && !this.#isUnreadable) this.#onUnreadable();
    this.#isUnreadable = isUnreadable;
    return stored;
  }

  async #parseFile(): Promise<JsonObject | 'unreadable'> {
    try {
      const value = parseJson(await readFile(this.#path, 'utf8'));
      return isJsonObject(value) ? value : 'unreadable';
    } catch (error) {
      if (isAbsent(error)) return this.#initial;
      // A folder of that name can be made through /userdata.
      if (error instanceof SyntaxError || errnoOf(error) === 'EISDIR') return 'unreadable';
      throw error;
    }
  }

  /** Settings that cannot be read (edited by hand) are kept beside the new ones, not overwritten. */
  async #loadOrSetAside(): Promise<JsonObject> {
    const stored = await this.#load();
    if (stored !== 'unreadable') return stored;
    let aside = `${this.#path}.unreadable`;
    for (let count = 2; await exists(aside); count += 1) {
      aside = `${this.#path}.unreadable-${count}`;
    }
    await rename(this.#path, aside).catch((error: unknown) => {
      if (!isAbsent(error)) throw error;
    });
    return {};
  }

  get #path(): string {
    return join(this.#folder, SETTINGS_FILE);
  }

  /** Where no name of a user file reaches it. */
  get #lockPath(): string {
    return join(this.#folder, WORK_FOLDER, `${SETTINGS_FILE}.lock`);
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
}
