import { isJsonObject, type JsonObject, type JsonValue } from './json.ts';

/** Members of `system` in /system_stats that are of interest to clients; its argv names paths of a machine. */
const SYSTEM_MEMBERS = [
  ...['os', 'ram_total', 'ram_free', 'comfyui_version', 'required_frontend_version'],
  ...['installed_templates_version', 'required_templates_version', 'comfy_package_versions'],
  ...['python_version', 'pytorch_version', 'embedded_python', 'deploy_environment'],
];

/**
 * What several servers say of themselves, as one: the oldest of them speaks for all, because a client may only
 * rely on what each of them can.
 */
export function pickSystem(systems: readonly JsonObject[]): JsonObject | undefined {
  const [oldest] = [...systems].sort((a, b) =>
    compareVersions(a.comfyui_version, b.comfyui_version),
  );
  if (oldest === undefined) return undefined;
  const named = SYSTEM_MEMBERS.flatMap((name) => {
    const value = oldest[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(named);
}

/** What servers announce in /features, as one: what any of them has is there. Of other values the first counts. */
export function mergeFeatures(lists: readonly JsonObject[]): JsonObject {
  const merged = new Map<string, JsonValue>();
  for (const features of lists) {
    for (const [name, value] of Object.entries(features)) {
      merged.set(name, mergeFeature(merged.get(name), value));
    }
  }
  return Object.fromEntries(merged);
}

/** The members of all; of one that several have, the first. */
export function mergeMembers(lists: readonly JsonObject[]): JsonObject {
  return Object.fromEntries([...lists].reverse().flatMap((list) => Object.entries(list)));
}

function mergeFeature(known: JsonValue | undefined, more: JsonValue): JsonValue {
  if (known === undefined) return more;
  if (isJsonObject(known) && isJsonObject(more)) return mergeFeatures([known, more]);
  return known === false ? more : known;
}

/** `0.3.64` before `0.33.0`; what is no version comes last. */
function compareVersions(a: JsonValue | undefined, b: JsonValue | undefined): number {
  const [left, right] = [readVersion(a), readVersion(b)];
  for (let part = 0; part < 3; part += 1) {
    const difference = (left[part] ?? 0) - (right[part] ?? 0);
    if (difference !== 0 && !Number.isNaN(difference)) return difference;
  }
  return 0;
}

function readVersion(value: JsonValue | undefined): readonly number[] {
  const match = typeof value === 'string' ? /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(value) : null;
  if (match === null) return [Infinity];
  return match.slice(1).map(Number);
}

/** Model folder -> names of files. */
export type ModelLists = Readonly<Record<string, readonly string[]>>;

/** The union of what several places have: every folder, each name once, sorted. */
export function mergeModelLists(lists: readonly ModelLists[]): Record<string, string[]> {
  const union: Record<string, string[]> = {};
  for (const models of lists) {
    for (const [folder, names] of Object.entries(models)) {
      union[folder] = [...new Set([...(union[folder] ?? []), ...names])].sort();
    }
  }
  return union;
}
