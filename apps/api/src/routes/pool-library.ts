import {
  isJsonObject,
  mergeFeatures,
  mergeMembers,
  type JsonObject,
  type JsonValue,
} from '@tiercel/contracts';

/** What the servers of a pool say of their models and folders, as one. Answers come from `Gather`. */

export interface ModelFolder {
  readonly name: string;
  /** Paths on the servers. */
  readonly folders: readonly string[];
  /** Endings of the files that belong there; servers before 0.33 do not tell them. */
  readonly extensions?: readonly string[];
}

/** GET /experiment/models: each folder once, with all its paths. */
export function mergeFolders(answers: readonly JsonValue[]): ModelFolder[] {
  const byName = new Map<string, ModelFolder>();
  for (const { name, folders, extensions } of answers.flatMap(objectsOf)) {
    if (typeof name !== 'string') continue;
    const known = byName.get(name);
    const endings = union(known?.extensions, extensions);
    byName.set(name, {
      ...{ name, folders: union(known?.folders, folders) },
      ...(endings.length === 0 ? {} : { extensions: endings }),
    });
  }
  return [...byName.values()];
}

/** GET /experiment/models/{folder}: each file once, as the first server that has it tells of it. */
export function mergeFiles(answers: readonly JsonValue[]): JsonObject[] {
  const files = answers.flatMap(objectsOf);
  return [...new Map([...files].reverse().map((file) => [file.name, file])).values()].reverse();
}

/** Objects of lists as one, e.g. of GET /internal/folder_paths: kind of folder -> all its paths. */
export function mergeLists(answers: readonly JsonValue[]): Record<string, string[]> {
  const merged = new Map<string, string[]>();
  for (const [name, list] of answers.filter(isJsonObject).flatMap(Object.entries<JsonValue>)) {
    merged.set(name, union(merged.get(name), list));
  }
  return Object.fromEntries(merged);
}

/** Answers that are objects, as one: GET /global_subgraphs. */
export function mergeObjects(answers: readonly JsonValue[]): JsonObject {
  return mergeMembers(answers.filter(isJsonObject));
}

/** Objects of objects as one, e.g. translations; of two texts in one place the first counts. */
export function mergeDeep(answers: readonly JsonValue[]): JsonObject {
  return mergeFeatures(answers.filter(isJsonObject));
}

function objectsOf(answer: JsonValue): readonly JsonObject[] {
  return Array.isArray(answer) ? answer.filter((item: JsonValue) => isJsonObject(item)) : [];
}

function union(known: readonly string[] | undefined, more: JsonValue | undefined): string[] {
  const added = Array.isArray(more)
    ? more.filter((item: JsonValue): item is string => typeof item === 'string')
    : [];
  return [...new Set([...(known ?? []), ...added])];
}
