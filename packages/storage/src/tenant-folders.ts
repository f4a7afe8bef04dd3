import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DEFAULT_TENANT } from '@tiercel/contracts';
import { FileStore } from './file-store.ts';
import { isAbsent } from './node-errors.ts';
import type { SettingsOptions } from './settings-store.ts';
import { UserStore } from './user-store.ts';

/** What the folders of all tenants but DEFAULT_TENANT lie in. */
const FOLDER = 'tenants';
/** Names that every file system takes and tells apart. */
const SAFE = /^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9_-])?$/;
/** Stores kept open: who comes back after so many others gets a new one of the same folder. */
const MAX_OPEN = 1_000;

/** A folder's name for a tenant; no two have the same. */
function folderName(tenant: string): string {
  if (SAFE.test(tenant)) return tenant;
  return `~${createHash('sha256').update(tenant, 'utf8').digest('hex')}`;
}

/** Where a tenant's input, output, temp and user folders are. */
function tenantRoot(dataDir: string, tenant: string): string {
  return tenant === DEFAULT_TENANT ? dataDir : join(dataDir, FOLDER, folderName(tenant));
}

/** One thing for each tenant, made when it is first asked for; those not asked for longest are dropped. */
class PerTenant<T> {
  readonly #open = new Map<string, T>();
  readonly #create: (tenant: string) => T;

  constructor(create: (tenant: string) => T) {
    this.#create = create;
  }

  of(tenant: string): T {
    const thing = this.#open.get(tenant) ?? this.#create(tenant);
    // Maps keep insertion order: the first key is the one not asked for longest.
    this.#open.delete(tenant);
    this.#open.set(tenant, thing);
    if (this.#open.size > MAX_OPEN) {
      for (const oldest of this.#open.keys()) {
        this.#open.delete(oldest);
        break;
      }
    }
    return thing;
  }
}

/** The file space of each tenant, below DATA_DIR. Stores of one folder agree through the file system. */
export class TenantFiles {
  readonly #dataDir: string;
  readonly #stores: PerTenant<FileStore>;

  constructor(dataDir: string) {
    this.#dataDir = dataDir;
    this.#stores = new PerTenant((tenant) => new FileStore(tenantRoot(dataDir, tenant)));
  }

  of(tenant: string): FileStore {
    return this.#stores.of(tenant);
  }

  /**
   * FileStore.purgeTemp for all tenants.
   * @returns how many files went
   */
  async purgeTemp(maxAgeMs: number): Promise<number> {
    let removed = await this.of(DEFAULT_TENANT).purgeTemp(maxAgeMs);
    const folder = join(this.#dataDir, FOLDER);
    for (const name of await listFolders(folder)) {
      removed += await new FileStore(join(folder, name)).purgeTemp(maxAgeMs);
    }
    return removed;
  }
}

/** Settings and user files of each tenant. */
export class TenantUsers {
  readonly #stores: PerTenant<UserStore>;

  constructor(dataDir: string, settings: SettingsOptions = {}) {
    this.#stores = new PerTenant((tenant) => new UserStore(tenantRoot(dataDir, tenant), settings));
  }

  of(tenant: string): UserStore {
    return this.#stores.of(tenant);
  }
}

async function listFolders(path: string): Promise<string[]> {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch (error) {
    if (isAbsent(error)) return [];
    throw error;
  }
}
