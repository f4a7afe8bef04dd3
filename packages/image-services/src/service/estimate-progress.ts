const EVERY_MS = 250;
/** An estimate never says that the work is done. */
const MOST = 0.95;

/**
 * Reports guessed progress from the time that recent attempts took, until stopped. The guess nears its
 * end ever more slowly, so that a slow attempt still moves.
 * @param expectedMs how long the attempt will take; undefined gives no progress
 */
export function estimateProgress(
  expectedMs: number | undefined,
  report: (fraction: number) => void,
): () => void {
  if (expectedMs === undefined) return () => undefined;
  const started = Date.now();
  const timer = setInterval(() => {
    const share = (Date.now() - started) / Math.max(expectedMs, 1);
    report(MOST * (1 - Math.exp(-2 * share)));
  }, EVERY_MS);
  return () => {
    clearInterval(timer);
  };
}
