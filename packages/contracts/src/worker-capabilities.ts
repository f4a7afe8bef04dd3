import { z } from 'zod';
import { DEFAULT_POOL } from './caller.ts';
import { isJsonObject, type JsonObject, type JsonValue } from './json.ts';
import { BREAKER_STATES, createTierCounts, tierCountsSchema } from './tier-counts.ts';

const jsonObjectSchema = z.custom<JsonObject>((value) => isJsonObject(value as JsonValue));

/** A compute device as /system_stats shows it. Bytes. */
export const deviceSchema = z.object({
  name: z.string(),
  type: z.string(),
  index: z.number().nullable(),
  vram_total: z.number(),
  vram_free: z.number(),
  torch_vram_total: z.number(),
  torch_vram_free: z.number(),
  /** Name of the backend server it is in (its URL without a login); never shown to clients. Without it: the worker's own host. */
  server: z.string().optional(),
});
export type Device = z.infer<typeof deviceSchema>;

/** What a worker says of itself at every heartbeat; lives in Redis with a time to live. */
export const workerCapabilitiesSchema = z.object({
  workerId: z.string(),
  host: z.string(),
  pid: z.number(),
  startedAt: z.number(),
  concurrency: z.number(),
  /** The pool of workers that it is in. */
  pool: z.string().default(DEFAULT_POOL),
  running: z.number(),
  /** SHA-256 of the object_info text this worker offers. */
  catalogueHash: z.string(),
  /** Model folder -> file names. */
  models: z.record(z.string(), z.array(z.string())),
  embeddings: z.array(z.string()),
  devices: z.array(deviceSchema),
  tiers: z.array(
    z.object({
      name: z.string(),
      driver: z.string(),
      healthy: z.boolean(),
      breaker: z.enum(BREAKER_STATES).default('closed'),
      counts: tierCountsSchema.default(createTierCounts),
    }),
  ),
  /**
   * The ComfyUI servers of its tiers, for the API's proxy. `url` names the server and holds no login; where it needs
   * one, `sealedAddress` is the whole URL, sealed with the installation's key.
   */
  servers: z
    .array(
      z.object({
        tier: z.string(),
        url: z.string(),
        healthy: z.boolean(),
        sealedAddress: z.string().optional(),
      }),
    )
    .default([]),
  /** Paths of the frontend extensions that these servers have (`/extensions/x/y.js`). */
  extensions: z.array(z.string()).default([]),
  /** What these servers say of their versions and memory; absent when none is up. */
  system: jsonObjectSchema.optional(),
  /** What they announce in GET /features. */
  features: jsonObjectSchema.default({}),
  /** What they answer to GET /node_replacements: old class -> what may take its place. */
  nodeReplacements: jsonObjectSchema.default({}),
  /** Ids of the last refreshes of its servers that it was asked for and has done (control message `look`). */
  looks: z.array(z.string()).default([]),
});
/** As a worker writes it; what has a default may be left out. Readers get it completed. */
export type WorkerCapabilities = z.input<typeof workerCapabilitiesSchema>;

/**
 * What workers are asked to read again from their ComfyUI servers: everything they offer, their model files and
 * embeddings, or some node classes by name (with the choices that these list).
 */
export type RefreshScope = 'all' | 'files' | readonly string[];
