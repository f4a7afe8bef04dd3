import type { Device, JsonObject, ObjectInfo } from '@tiercel/contracts';

/** What the pool offers, for the worker's announcement. */
export interface PoolOffer {
  readonly objectInfo: ObjectInfo;
  readonly models: Readonly<Record<string, readonly string[]>>;
  readonly embeddings: readonly string[];
  readonly extensions: readonly string[];
  readonly devices: readonly (Device & { readonly server: string })[];
  readonly servers: readonly {
    readonly url: string;
    /** With the login, if it has one: to be sealed before it leaves the process. */
    readonly address: string;
    readonly healthy: boolean;
  }[];
  /** `system` of each server that is up, as it said last. */
  readonly systems: readonly JsonObject[];
  readonly features: readonly JsonObject[];
  readonly nodeReplacements: readonly JsonObject[];
}
