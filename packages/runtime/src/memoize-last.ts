/**
 * A computation that gives its last result again while its parts are the same objects: what is derived from
 * something big and is asked for often.
 */
export function memoizeLast<Part, Result>(
  compute: (parts: readonly Part[]) => Result,
): (parts: readonly Part[]) => Result {
  let last: { readonly parts: readonly Part[]; readonly result: Result } | undefined;
  return (parts) => {
    const isSame =
      last?.parts.length === parts.length && last.parts.every((part, n) => part === parts[n]);
    if (last === undefined || !isSame) last = { parts: [...parts], result: compute(parts) };
    return last.result;
  };
}
