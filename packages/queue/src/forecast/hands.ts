/**
 * When hands get to a job, if all jobs take the same time: hands that get free at `freeMs` start jobs then and
 * every `eachMs` after it.
 * @param freeMs when each hand gets free; not empty
 * @param ahead jobs that are started before it
 * @returns when it is started
 */
export function startBehind(freeMs: readonly number[], ahead: number, eachMs: number): number {
  const sorted = [...freeMs].sort((a, b) => a - b);
  const earliest = sorted[0] ?? 0;
  if (ahead < 1 || eachMs <= 0) return earliest;
  const startedBy = (atMs: number): number => {
    let count = 0;
    for (const free of sorted) {
      if (free > atMs) break;
      count += Math.floor((atMs - free) / eachMs) + 1;
    }
    return count;
  };
  // The least time by which more jobs than those ahead have been started; whole milliseconds are exact enough.
  let low = Math.floor(earliest);
  let high = Math.ceil(earliest + (ahead + 1) * eachMs);
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (startedBy(middle) > ahead) high = middle;
    else low = middle + 1;
  }
  return low;
}
