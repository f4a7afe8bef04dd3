import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isAbsent } from './node-errors.ts';
import { counterOf, outputName } from './output-names.ts';

/** Folder and stem pairs remembered per process; the least recently used is forgotten. */
const MAX_REMEMBERED = 10_000;
/** Names in a row taken by other processes before the folder is read again. */
const LOSSES_BEFORE_REREAD = 16;

interface Counter {
  last: number;
}

/** Makes a file at a path; false when the name is taken. */
export type FileMaker = (path: string) => Promise<boolean>;

/**
 * Hands out `stem_00001_.png`, `stem_00002_.png`, ... A name is taken by creating the file, which
 * the file system lets succeed once, so processes need no lock. The last number is remembered per
 * folder and stem: the folder is read at the first save only, not at each.
 */
export class NameCounters {
  readonly #counters = new Map<string, Promise<Counter>>();

  /**
   * Makes a file under the next free name in `folder` and returns that name. Nobody is told the name
   * before the file is whole; one that a killed process left half-written is never named to anybody.
   * @param ending what follows the number: `_.png`
   */
  async create(folder: string, stem: string, ending: string, make: FileMaker): Promise<string> {
    const counter = await this.#counterFor(folder, stem);
    for (let losses = 1; ; losses += 1) {
      counter.last += 1;
      const name = outputName(stem, counter.last, ending);
      if (await make(join(folder, name))) return name;
      if (losses % LOSSES_BEFORE_REREAD === 0) {
        const last = await readLast(folder, stem);
        counter.last = Math.max(counter.last, last);
      }
    }
  }

  #counterFor(folder: string, stem: string): Promise<Counter> {
    const key = join(folder, stem);
    const known = this.#counters.get(key);
    const counter = known ?? readLast(folder, stem).then((last) => ({ last }));
    this.#counters.delete(key);
    this.#counters.set(key, counter);
    if (known === undefined) {
      counter.catch(() => this.#counters.delete(key));
      const oldest = this.#counters.keys().next();
      if (this.#counters.size > MAX_REMEMBERED && oldest.done !== true) {
        this.#counters.delete(oldest.value);
      }
    }
    return counter;
  }
}

async function readLast(folder: string, stem: string): Promise<number> {
  try {
    const names = await readdir(folder);
    return names.reduce((last, name) => Math.max(last, counterOf(name, stem)), 0);
  } catch (error) {
    if (isAbsent(error)) return 0;
    throw error;
  }
}
