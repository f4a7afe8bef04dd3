import { claimId, type ClaimId, type JobId } from '@tiercel/contracts';
import { RedisScript } from '@tiercel/runtime';

/** A running job that is to go back to its place in the queue, and the claim under which it runs. */
export interface PreemptedRun {
  readonly id: JobId;
  readonly claim: ClaimId;
}

/** Chooses running jobs that are to make room for jobs of plans that preempt. */
export const preemptScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'waited_ms'],
  parse: (reply): PreemptedRun[] => {
    const texts = reply as string[];
    return texts.flatMap((id, index) => {
      const claim = texts[index + 1];
      if (index % 2 !== 0 || claim === undefined) return [];
      return [{ id: id as JobId, claim: claimId(claim) }]; // the scripts' own
    });
  },
});
