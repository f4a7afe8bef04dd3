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
