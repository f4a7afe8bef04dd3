import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Waits in order to show that something does not happen: no event can be awaited for that. What must not
 * have happened is asserted after it.
 */
export async function expectNothingFor(ms: number): Promise<void> {
  await sleep(ms);
}

/**
 * Lets real time go by where time itself is the subject and no clock can be put in its place: another
 * process's, Redis's, or how long something stays away.
 */
export async function letTimePass(ms: number): Promise<void> {
  await sleep(ms);
}
