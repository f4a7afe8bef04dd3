/** Requests at once for one job: more would take a vendor's rate limit from other jobs. */
const AT_ONCE = 2;

/**
 * Makes several pictures where a vendor makes one a request: two at a time, no further one after a failure.
 * @param onPainted after each picture, with how many there are
 * @returns the pictures in order of their index
 * @throws what the first failure threw; the caller ends the request that then still runs (`runInTime`)
 */
export async function paintEach(
  count: number,
  paint: (index: number) => Promise<Uint8Array>,
  onPainted: (painted: number) => void = () => undefined,
): Promise<readonly Uint8Array[]> {
  const pictures: Uint8Array[] = [];
  let next = 0;
  let painted = 0;
  let hasFailed = false;
  const work = async (): Promise<void> => {
    while (next < count && !hasFailed) {
      const index = next;
      next += 1;
      try {
        pictures[index] = await paint(index);
      } catch (error) {
        hasFailed = true;
        throw error;
      }
      painted += 1;
      onPainted(painted);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, count) }, work));
  return pictures;
}
