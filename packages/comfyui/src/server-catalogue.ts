import {
  type Device,
  deviceSchema,
  isJsonObject,
  type JsonObject,
  type RefreshScope,
  type NodeInfo,
  type ObjectInfo,
  stringifyJson,
} from '@tiercel/contracts';
import { CoalescedRefresh, type Logger } from '@tiercel/runtime';
import type { ComfyClient } from './comfy-client.ts';

/** What a server can do, as it said last. */
export interface ServerAbilities {
  readonly objectInfo: ObjectInfo;
  readonly models: Readonly<Record<string, readonly string[]>>;
  readonly embeddings: readonly string[];
  readonly extensions: readonly string[];
  readonly devices: readonly Device[];
  /** `system` of /system_stats: versions, memory. */
  readonly system: JsonObject;
  readonly features: JsonObject;
  /** Old class -> what may take its place; empty before ComfyUI 0.24. */
  readonly nodeReplacements: JsonObject;
}

/** A catalogue is some megabytes: read when the server is new, when asked, and once in a while. */
const STALE_MS = 120_000;
/** Of one question of a refresh: who asked is answered within two seconds. */
const LOOK_TIMEOUT_MS = 1_500;
/** Classes that are asked for at once. */
const CLASSES_AT_ONCE = 8;

interface Wish {
  isAll: boolean;
  isFiles: boolean;
  readonly classes: Set<string>;
}

/** What one server offers, read from it. */
export class ServerCatalogue {
  readonly #client: ComfyClient;
  readonly #log: Logger;
  readonly #onChange: () => void;
  readonly #refreshes = new CoalescedRefresh(() => this.#refresh());
  #wish = nothing();
  #abilities: ServerAbilities | undefined;
  #readAt = 0;
  /** The server may have been restarted since it was read. */
  #mayBeAnother = true;

  constructor(client: ComfyClient, log: Logger, onChange: () => void) {
    this.#client = client;
    this.#log = log;
    this.#onChange = onChange;
  }

  /** Undefined until it has been read once. */
  get abilities(): ServerAbilities | undefined {
    return this.#abilities;
  }

  get isStale(): boolean {
    return this.#mayBeAnother || Date.now() - this.#readAt > STALE_MS;
  }

  doubt(): void {
    this.#mayBeAnother = true;
  }

  /** @throws ComfyRequestError */
  async read(): Promise<void> {
    // Before it is asked: a restart while it answers counts.
    this.#mayBeAnother = false;
    try {
      this.#set(await this.#ask());
      this.#readAt = Date.now();
    } catch (error) {
      this.doubt();
      throw error;
    }
  }

  async #ask(): Promise<ServerAbilities> {
    const client = this.#client;
    const [objectInfo, files, extensions, stats, features, nodeReplacements] = await Promise.all([
      client.objectInfo(),
      this.#readFiles(),
      client.extensions(),
      client.systemStats(),
      client.features(),
      client.nodeReplacements(),
    ]);
    const system = isJsonObject(stats.system) ? stats.system : {};
    const devices = devicesOf(stats);
    return { objectInfo, ...files, extensions, devices, system, features, nodeReplacements };
  }

  /**
   * Looks at a part of it again. Resolves when the server has been asked from now on, or does not answer; never
   * rejects. A server that has never answered is not asked: it will be read whole.
   */
  refresh(scope: RefreshScope): Promise<void> {
    if (this.#abilities === undefined) return Promise.resolve();
    if (scope === 'all') this.#wish.isAll = true;
    else if (scope === 'files') this.#wish.isFiles = true;
    else for (const name of scope) this.#wish.classes.add(name);
    return this.#refreshes.run();
  }

  async #refresh(): Promise<void> {
    const scope = this.#wish;
    this.#wish = nothing();
    try {
      if (scope.isAll) {
        await this.read();
        return;
      }
      const [files, classes] = await Promise.all([
        scope.isFiles ? this.#readFiles(LOOK_TIMEOUT_MS) : {},
        this.#readClasses([...scope.classes]),
      ]);
      const known = this.#abilities;
      if (known === undefined) return;
      this.#set({ ...known, ...files, objectInfo: withClasses(known.objectInfo, classes) });
    } catch (error) {
      // Whether it is up is found out by its heartbeat.
      this.#log.debug({ err: error, server: this.#client.host }, 'a server could not be looked at');
    }
  }

  async #readFiles(timeoutMs?: number): Promise<Pick<ServerAbilities, 'models' | 'embeddings'>> {
    const [models, embeddings] = await Promise.all([
      this.#client.models(undefined, timeoutMs),
      this.#client.embeddings(undefined, timeoutMs),
    ]);
    return { models, embeddings };
  }

  async #readClasses(names: readonly string[]): Promise<ReadonlyMap<string, NodeInfo | undefined>> {
    const read = new Map<string, NodeInfo | undefined>();
    const left = names.values(); // shared: each reader takes the next one
    const readNext = async (): Promise<void> => {
      for (const name of left) {
        read.set(name, await this.#client.nodeInfo(name, undefined, LOOK_TIMEOUT_MS));
      }
    };
    await Promise.all(Array.from({ length: CLASSES_AT_ONCE }, readNext));
    return read;
  }

  /** Parts that are as they were stay the same objects: what is made of them need not be made again. */
  #set(abilities: ServerAbilities): void {
    const known = this.#abilities;
    const isSame = known !== undefined && describe(known) === describe(abilities);
    this.#abilities = abilities;
    if (!isSame || known.objectInfo !== abilities.objectInfo) this.#onChange();
  }
}

function nothing(): Wish {
  return { isAll: false, isFiles: false, classes: new Set() };
}

/** All but the catalogue, which is compared by identity, and what changes all the time. */
function describe(abilities: ServerAbilities): string {
  const { models, embeddings, extensions, features, nodeReplacements } = abilities;
  return stringifyJson([models, embeddings, extensions, features, nodeReplacements]);
}

/** The same object when nothing of it has changed. */
function withClasses(
  objectInfo: ObjectInfo,
  classes: ReadonlyMap<string, NodeInfo | undefined>,
): ObjectInfo {
  const changed = [...classes].filter(
    ([name, info]) => stringifyJson(objectInfo[name] ?? null) !== stringifyJson(info ?? null),
  );
  if (changed.length === 0) return objectInfo;
  const gone = new Set(changed.flatMap(([name, info]) => (info === undefined ? [name] : [])));
  const kept = Object.entries(objectInfo).filter(([name]) => !gone.has(name));
  const added = changed.flatMap(([name, info]) => (info === undefined ? [] : [[name, info]]));
  return Object.fromEntries([...kept, ...added]) as ObjectInfo; // pairs of a class and its entry
}

function devicesOf(stats: JsonObject): readonly Device[] {
  const parsed = deviceSchema.array().safeParse(stats.devices);
  return parsed.success ? parsed.data : [];
}
