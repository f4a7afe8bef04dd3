import { judgeJob, parseJson } from '@tiercel/contracts';
import type { WorkerRegistry } from '@tiercel/events';
import { describeNeeds, readNodes, type GraphNeeds } from '@tiercel/graph';
import type { Consumer, TakenJob } from '@tiercel/queue';

/** What the worker is among others, as far as jobs go to one or the other. */
export interface OtherWorkers {
  /** Of this worker, by name. */
  readonly profile: () => string;
  /** Which workers may be able to run a job that this one cannot run; undefined when there are none. */
  find(job: TakenJob): Promise<string | undefined>;
}

/** Reads the needs of a prompt, JSON text that the API has validated. */
export function readNeeds(promptText: string): GraphNeeds {
  return describeNeeds(readNodes(parseJson(promptText)));
}

export function createOtherWorkers(parts: {
  readonly registry: Pick<WorkerRegistry, 'readFleet'>;
  readonly consumer: Pick<Consumer, 'readNeeds'>;
  readonly profile: () => string;
}): OtherWorkers {
  const { registry, consumer, profile } = parts;
  return {
    profile,
    find: async (job) => {
      const mine = profile();
      const fleet = await registry.readFleet();
      // Not announced yet: what is put back might come back at once.
      if (!fleet.profiles.some(({ id }) => id === mine)) return undefined;
      const { needs, declined } = await consumer.readNeeds(job);
      const { kind, isDeclinedByAll } = judgeJob(needs ?? readNeeds(job.promptText), fleet, [
        ...declined,
        mine,
      ]);
      return isDeclinedByAll || kind === '' || kind === ';' ? undefined : kind;
    },
  };
}
