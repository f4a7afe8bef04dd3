import {
  isJsonObject,
  type JsonObject,
  type JsonValue,
  type OutputRef,
  type ParamChange,
  parseJson,
  type ServiceReport,
  stringifyJson,
  type UiOutput,
  listOutputFiles,
} from '@tiercel/contracts';
import { SHARED, type CacheKey } from './cache-key.ts';

/** What is told of a result again whenever it answers a job. */
interface CachedReport {
  readonly served_by: NonNullable<ServiceReport['served_by']>;
  readonly degraded: boolean;
  readonly dropped_params: readonly string[];
  readonly changed: readonly ParamChange[];
  readonly omitted: readonly string[];
  /** True when the picture came from the built-in sketch generator. */
  readonly sketch?: boolean;
}

/** A result as the cache takes and gives it. */
export interface CachedJob {
  /** What the output nodes show, by the node ids of the job at hand; an output may show nothing. */
  readonly outputs: Readonly<Record<string, UiOutput>>;
  readonly report: CachedReport;
  /** Whose files the outputs name; undefined: those of who asks. */
  readonly owner?: string;
}

/** A result without node ids. */
export interface CacheEntry {
  /** Whose files it names, of a result that is SHARED. */
  readonly owner?: string | undefined;
  /** What an output shows, by its node key. */
  readonly shown: ReadonlyMap<string, UiOutput>;
  readonly report: CachedReport;
}

/** Nodes that the key does not name (they are no outputs) are left out, as in a cached run of ComfyUI. */
export function toEntry(key: CacheKey, { outputs, report }: CachedJob): CacheEntry {
  const shown = new Map<string, UiOutput>();
  for (const [id, nodeKey] of key.outputs) {
    const ui = Object.hasOwn(outputs, id) ? outputs[id] : undefined;
    if (ui !== undefined && !shown.has(nodeKey)) shown.set(nodeKey, ui);
  }
  return { shown, report, ...(key.scope === SHARED ? { owner: key.tenant } : {}) };
}

export function fromEntry(key: CacheKey, { shown, report, owner }: CacheEntry): CachedJob {
  const outputs: [id: string, ui: UiOutput][] = [];
  for (const [id, nodeKey] of key.outputs) {
    const ui = shown.get(nodeKey);
    if (ui !== undefined) outputs.push([id, ui]);
  }
  const isOthers = owner !== undefined && owner !== key.tenant;
  return { outputs: Object.fromEntries(outputs), report, ...(isOthers ? { owner } : {}) };
}

/** The stored files that an entry names, in an order that is always the same. */
export function listEntryFiles({ shown }: CacheEntry): OutputRef[] {
  return [...shown.values()].flatMap(listOutputFiles);
}

/** @param stamps one for each of the entry's files */
export function encodeEntry(
  { shown, report, owner }: CacheEntry,
  stamps: readonly string[],
): string {
  return stringifyJson({ shown: [...shown], stamps, report, ...(owner && { owner }) });
}

/** What `encodeEntry` wrote; undefined when the text is anything else. */
export function decodeEntry(
  text: string,
): { entry: CacheEntry; stamps: readonly string[] } | undefined {
  const stored = parseObject(text);
  if (stored === undefined || !isJsonObject(stored.report)) return undefined;
  const { shown, stamps, owner } = stored;
  const report = readReport(stored.report);
  if (report === undefined || !isStrings(stamps) || !isPairs(shown)) return undefined;
  if (owner !== undefined && typeof owner !== 'string') return undefined;
  return { entry: { shown: new Map(shown), report, owner }, stamps };
}

function parseObject(text: string): JsonObject | undefined {
  try {
    const value = parseJson(text);
    return isJsonObject(value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function readReport(source: JsonObject): CachedReport | undefined {
  const { served_by: by, degraded, dropped_params, changed, omitted, sketch } = source;
  if (!isJsonObject(by) || typeof degraded !== 'boolean' || !isStrings(dropped_params)) {
    return undefined;
  }
  const { tier, driver, model } = by;
  const isNamed = typeof tier === 'string' && typeof driver === 'string';
  if (!isNamed || (typeof model !== 'string' && model !== null)) return undefined;
  if (!Array.isArray(changed) || !changed.every(isChange)) return undefined;
  if (!isStrings(omitted)) return undefined;
  return {
    served_by: { tier, driver, model },
    degraded,
    dropped_params,
    changed,
    omitted,
    ...(sketch === true ? { sketch } : {}),
  };
}

function isChange(value: unknown): value is ParamChange {
  if (typeof value !== 'object' || value === null) return false;
  const { param, asked, used } = value as Partial<Record<keyof ParamChange, unknown>>;
  return typeof param === 'string' && isScalar(asked) && isScalar(used);
}

/** A bigint too: a seed that was changed may have had all its 64 bits. */
function isScalar(value: unknown): boolean {
  return ['number', 'bigint', 'string'].includes(typeof value);
}

function isStrings(value: JsonValue | undefined): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function isPairs(value: JsonValue | undefined): value is readonly [string, JsonObject][] {
  return Array.isArray(value) && value.every(isPair);
}

function isPair(value: JsonValue): boolean {
  return (
    Array.isArray(value) &&
    value.length === 2 &&
    typeof value[0] === 'string' &&
    isJsonObject(value[1] as JsonValue | undefined)
  );
}
