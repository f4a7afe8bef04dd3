const POLL_MS = 20;

/**
 * Asks again and again until the answer is truthy, and returns that answer. An error counts as "not yet".
 * @throws Error after `timeoutMs`, with the last error as its cause
 */
export async function until<T>(
  ask: () => T | Promise<T>,
  timeoutMs = 10_000,
): Promise<Exclude<T, false | null | undefined | 0 | ''>> {
  const deadline = Date.now() + timeoutMs;
  let last: unknown;
  do {
    try {
      const answer = await ask();
      // The cast says what truthy means; TypeScript cannot narrow a type parameter by it.
      if (answer) return answer as Exclude<T, false | null | undefined | 0 | ''>;
      last = undefined;
    } catch (error) {
      last = error;
    }
    await new Promise((done) => setTimeout(done, POLL_MS));
  } while (Date.now() < deadline);
  throw new Error(`nothing came of it in ${timeoutMs} ms: ${ask.toString().slice(0, 200)}`, {
    cause: last,
  });
}
