import {
  isJsonObject,
  mergeFeatures,
  mergeMembers,
  mergeModelLists,
  parseJson,
  pickSystem,
  stringifyJson,
  type Device,
  type Fleet,
  type JsonObject,
  type NodeInfo,
  type ObjectInfo,
} from '@tiercel/contracts';
import type { WorkerRegistry, EventSubscriber, KnownFleet, LiveWorker } from '@tiercel/events';
import { choicesOf, isUploadInput, mapInputs, mergeObjectInfo, withChoices } from '@tiercel/graph';
import { CoalescedRefresh, type Logger } from '@tiercel/runtime';
import { lookup } from 'mime-types';
import { nameServer } from './proxy/server-pool.ts';

const REFRESH_MS = 5_000;

/** What the workers have beside their classes. */
export interface CatalogueCapabilities {
  /** Folder -> file names. */
  readonly models: Readonly<Record<string, readonly string[]>>;
  readonly embeddings: readonly string[];
  /** Frontend extensions that a live server has, in the order in which servers list them. */
  readonly extensions: readonly string[];
  readonly devices: readonly Device[];
  /** Versions and memory of the pool's servers; undefined when none is up. */
  readonly system: JsonObject | undefined;
}

interface State extends Pick<CatalogueCapabilities, 'models' | 'embeddings' | 'extensions'> {
  readonly key: string;
  readonly objectInfo: ObjectInfo;
  /** Class -> its entry as JSON text; upload inputs excepted, whose choices are files. */
  readonly texts: ReadonlyMap<string, string>;
  readonly uploadClasses: readonly string[];
  readonly nodeReplacements: JsonObject;
}

const EMPTY: State = {
  key: '',
  objectInfo: {},
  texts: new Map(),
  uploadClasses: [],
  nodeReplacements: {},
  models: {},
  embeddings: [],
  extensions: [],
};

/**
 * What can be run, as the workers announce it: the union over live workers and those that may come back, else what was
 * last known.
 * The API itself knows no nodes.
 */
export class Catalogue {
  readonly #registry: WorkerRegistry;
  readonly #listInputFiles: (tenant: string) => Promise<readonly string[]>;
  readonly #log: Logger;
  #state: State = EMPTY;
  #workers: readonly LiveWorker[] = [];
  #fleet: KnownFleet = { signature: '', profiles: [], awayCatalogues: [] };
  #timer: NodeJS.Timeout | undefined;
  readonly #refreshes = new CoalescedRefresh(() => this.#tryRefresh());
  readonly #listeners = new Set<() => void>();
  readonly #waiting = new Set<() => void>();

  constructor(dependencies: {
    registry: WorkerRegistry;
    /** Of a tenant. */
    listInputFiles: (tenant: string) => Promise<readonly string[]>;
    log: Logger;
  }) {
    this.#registry = dependencies.registry;
    this.#listInputFiles = dependencies.listInputFiles;
    this.#log = dependencies.log;
  }

  async start(subscriber: EventSubscriber): Promise<void> {
    await subscriber.onWorkersChanged(() => void this.#refreshes.run());
    await this.#refreshes.run();
    this.#timer = setInterval(() => void this.#refreshes.run(), REFRESH_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  get objectInfo(): ObjectInfo {
    return this.#state.objectInfo;
  }

  /** Old class -> what may take its place, as servers tell it; of several, the first worker's. */
  get nodeReplacements(): JsonObject {
    return this.#state.nodeReplacements;
  }

  /**
   * False only on a system that has never had a worker. Reads once more before it says so: the first
   * worker may have announced itself a moment ago.
   */
  async isKnown(): Promise<boolean> {
    if (!this.#hasClasses()) await this.#refreshes.run();
    return this.#hasClasses();
  }

  /** Resolves with true when something is known, with false when `signal` is aborted before. */
  whenKnown(signal?: AbortSignal): Promise<boolean> {
    if (this.#hasClasses()) return Promise.resolve(true);
    if (signal?.aborted === true) return Promise.resolve(false);
    return new Promise((resolve) => {
      const settle = () => {
        this.#waiting.delete(settle);
        signal?.removeEventListener('abort', settle);
        resolve(this.#hasClasses());
      };
      this.#waiting.add(settle);
      signal?.addEventListener('abort', settle);
    });
  }

  #hasClasses(): boolean {
    return this.#state.texts.size > 0;
  }

  async capabilities(): Promise<CatalogueCapabilities> {
    await this.isKnown();
    const { models, embeddings, extensions } = this.#state;
    const devices = uniqueDevices(this.#workers);
    const system = pickSystem(
      this.#workers.flatMap(({ system: answered }) => (answered === undefined ? [] : [answered])),
    );
    return { models, embeddings, extensions, devices, system };
  }

  /** What servers announce in /features, as one. */
  get features(): JsonObject {
    return mergeFeatures(this.#workers.map(({ features }) => features));
  }

  /** Another one whenever the classes may be others. */
  get key(): string {
    return this.#state.key;
  }

  /** The classes as JSON text, without the files of upload inputs. */
  classesText(): string {
    const entries = [...this.#state.texts].map(([name, text]) => `${JSON.stringify(name)}:${text}`);
    return `{${entries.join(',')}}`;
  }

  /** Which workers are up or may come back, as far as jobs go to one or the other. */
  get fleet(): Fleet {
    return this.#fleet;
  }

  get workers(): readonly LiveWorker[] {
    return this.#workers;
  }

  /**
   * @param listener called after every reading of the registry
   * @returns how to stop listening
   */
  onReading(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** /object_info as JSON text, with the tenant's files of today in the lists of upload inputs. */
  async objectInfoText(tenant: string): Promise<string> {
    await this.isKnown();
    const files = await this.#listInputFiles(tenant);
    const entries = [...this.#state.texts].map(
      ([name, text]) => `${JSON.stringify(name)}:${this.#withFiles(name, text, files)}`,
    );
    return `{${entries.join(',')}}`;
  }

  /** One class, `{}` when there is none (status 200, as ComfyUI). */
  async classText(name: string, tenant: string): Promise<string> {
    await this.isKnown();
    const text = this.#state.texts.get(name);
    if (text === undefined) return '{}';
    const files = await this.#listInputFiles(tenant);
    return `{${JSON.stringify(name)}:${this.#withFiles(name, text, files)}}`;
  }

  #withFiles(name: string, text: string, files: readonly string[]): string {
    const info = this.#state.objectInfo[name];
    if (info === undefined || !this.#state.uploadClasses.includes(name)) return text;
    return stringifyJson(putFiles(info, files));
  }

  async #tryRefresh(): Promise<void> {
    await this.#refresh().catch((error: unknown) => {
      this.#log.warn({ err: error }, 'the registry of workers could not be read');
    });
  }

  async #refresh(): Promise<void> {
    // In one order at every refresh and in every API process: the first to name a thing sets its place.
    const live = (await this.#registry.readLive()).sort((a, b) =>
      a.workerId < b.workerId ? -1 : 1,
    );
    const fleet = await this.#registry.readFleet();
    const state = await this.#readState(live, fleet.awayCatalogues, this.#state);
    // Together: who sees a worker sees its classes.
    this.#workers = live;
    this.#fleet = fleet;
    this.#state = state;
    for (const listener of [...this.#listeners]) listener();
    if (this.#hasClasses()) for (const settle of [...this.#waiting]) settle();
  }

  /** @param away hashes of the catalogues of workers that may come back: jobs for them may be posted */
  async #readState(
    live: readonly LiveWorker[],
    away: readonly string[],
    old: State,
  ): Promise<State> {
    const hashes =
      live.length > 0
        ? [...new Set(live.map((worker) => worker.catalogueHash))].sort()
        : await this.#registry.readLastKnownHashes();
    if (hashes.length === 0) return old;
    const listed = live.map(({ models, embeddings, extensions, nodeReplacements }) => [
      ...[models, embeddings, extensions, nodeReplacements],
    ]);
    const others = away.filter((hash) => !hashes.includes(hash)).sort();
    const key = stringifyJson([hashes, others, listed]);
    if (key === old.key) return old;
    const objectInfo = await this.#readUnion(hashes, others, old);
    return {
      key,
      objectInfo,
      texts: new Map(Object.entries(objectInfo).map(([name, info]) => [name, stringifyJson(info)])),
      uploadClasses: Object.keys(objectInfo).filter((name) => hasUpload(objectInfo[name])),
      models: live.length > 0 ? mergeModelLists(live.map(({ models }) => models)) : old.models,
      embeddings: [...new Set(live.flatMap((worker) => worker.embeddings))].sort(),
      extensions: [...new Set(live.flatMap((worker) => worker.extensions))],
      nodeReplacements:
        live.length > 0 ? mergeMembers(live.map((w) => w.nodeReplacements)) : old.nodeReplacements,
    };
  }

  /** @param others hashes of catalogues that only add classes: what a live worker says of one counts */
  async #readUnion(
    hashes: readonly string[],
    others: readonly string[],
    old: State,
  ): Promise<ObjectInfo> {
    if (old.key !== '') {
      const [oldHashes, oldOthers] = JSON.parse(old.key) as [string[], string[]];
      const isSame = oldHashes.join() === hashes.join() && oldOthers.join() === others.join();
      if (isSame) return old.objectInfo;
    }
    const union = mergeObjectInfo(await this.#readCatalogues(hashes));
    const more = mergeObjectInfo(await this.#readCatalogues(others));
    // The union's names stand first, and its entries count.
    const all = others.length === 0 ? union : { ...union, ...more, ...union };
    // A worker whose servers have never answered offers nothing: what was known before still counts.
    return Object.keys(all).length > 0 ? all : old.objectInfo;
  }

  async #readCatalogues(hashes: readonly string[]): Promise<ObjectInfo[]> {
    const catalogues: ObjectInfo[] = [];
    for (const hash of hashes) {
      const text = await this.#registry.readCatalogue(hash);
      const parsed = text === null ? null : parseJson(text);
      // Written by a worker of ours from a typed ObjectInfo.
      if (isJsonObject(parsed)) catalogues.push(parsed as unknown as ObjectInfo);
    }
    return catalogues;
  }
}

function hasUpload(info: NodeInfo | undefined): boolean {
  const inputs = { ...info?.input.required, ...info?.input.optional };
  return Object.values(inputs).some(isUploadInput);
}

function putFiles(info: NodeInfo, files: readonly string[]): NodeInfo {
  return mapInputs(info, (spec) => {
    if (!isUploadInput(spec) || choicesOf(spec) === undefined) return spec;
    return withChoices(
      spec,
      files.filter((file) => fits(file, spec[1])),
    );
  });
}

/** Which of the uploaded files an input lists: those of its own kind, told by their names. */
function fits(file: string, options: JsonObject | undefined): boolean {
  const kind = (lookup(file) || '').split('/')[0];
  if (options?.image_upload === true || options?.animated_image_upload === true) {
    return kind === 'image';
  }
  if (options?.video_upload === true) return kind === 'video';
  if (options?.audio_upload === true) return kind === 'audio' || kind === 'video';
  return true;
}

/** Workers that use one server name its devices each, and workers on one host share those of the host. */
function uniqueDevices(live: readonly LiveWorker[]): Device[] {
  const byPlace = new Map<string, Device>();
  for (const { host, devices } of live) {
    for (const { server, ...shown } of devices) {
      const place = server === undefined ? host : nameServer(server, host);
      byPlace.set(JSON.stringify([place, shown.name, shown.index]), shown);
    }
  }
  return [...byPlace.values()];
}
