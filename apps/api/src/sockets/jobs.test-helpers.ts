import {
  claimId,
  plainNode,
  PICTURE_TYPE,
  promptId,
  RedisNames,
  workerId,
  type JobResult,
  type TerminalEvent,
  type WireEvent,
} from '@tiercel/contracts';
import { EventPublisher, EventReplay, type EventScope } from '@tiercel/events';
import {
  Consumer,
  createPermitQueue,
  Editor,
  Producer,
  Reader,
  type TakenJob,
} from '@tiercel/queue';
import { connectRedis, createLogger, systemClock, type Redis } from '@tiercel/runtime';

export const log = createLogger({ level: 'silent', name: 'test' });

/** For tests only: the worker's side of jobs, on a real Redis, one step at a time. */
export interface Jobs {
  readonly redis: Redis;
  readonly names: RedisNames;
  readonly reader: Reader;
  readonly editor: Editor;
  readonly replay: EventReplay;
  /** A job is accepted and waits. */
  add(id: string, clientId: string | undefined): Promise<void>;
  /** The next job that waits runs. */
  take(): Promise<RunningJob>;
  close(): Promise<void>;
}

interface RunningJob {
  readonly id: string;
  emit(...events: WireEvent[]): Promise<void>;
  /** Ends with one picture as the output of node 9. */
  finish(): Promise<void>;
}

const OUTPUT = { filename: 'x.png', subfolder: '', type: 'output' } as const;
const LIMITS = {
  ...{ eventsPerJob: 100, eventBytesPerJob: 1_000_000 },
  ...{ eventsTtlSeconds: 60, maxEventBytes: 100_000 },
};

export function openJobs(redisUrl: string, prefix: string): Jobs {
  const names = new RedisNames(prefix);
  const redis = connectRedis(redisUrl, 'blocking', log);
  const permits = createPermitQueue(redis, names);
  const producer = new Producer(redis, names, permits, {
    ...{ maxPending: 1_000, maxPendingBytes: 100_000_000 },
    perClient: 'parallel',
  });
  const consumer = new Consumer(redis, names, permits, LIMITS);
  const publisher = new EventPublisher(redis, names, LIMITS, systemClock);
  let permitCounter = 0;
  const runOf = (job: TakenJob): RunningJob => {
    const scope: EventScope = {
      ...{ tenant: job.tenant, promptId: job.promptId },
      ...{ clientId: job.clientId, claimId: claimId(job.claimId) },
    };
    return {
      id: job.id,
      emit: async (...events) => {
        await publisher.publish(scope, events);
      },
      finish: async () => {
        await consumer.finish(job, successOf(job.id), Date.now(), undefined);
      },
    };
  };
  return {
    ...{ redis, names },
    reader: new Reader(redis, names),
    editor: new Editor(redis, names),
    replay: new EventReplay(redis, names),
    add: async (id, clientId) => {
      await producer.enqueue({
        ...{ id: promptId(id), bodyHash: `hash-${id}`, number: undefined, front: false, clientId },
        promptText: '{"9":{"class_type":"A","inputs":{}}}',
        ...{ extraText: '{}', outputIds: ['9'], nodeErrorsText: '{}' },
        ...{ workflowId: undefined, secrets: undefined },
      });
      await producer.release(promptId(id));
    },
    take: async () => {
      permitCounter += 1;
      const job = await consumer.take(`p${permitCounter}`, workerId('w'));
      if (job === undefined) throw new Error('no job waits');
      return runOf(job);
    },
    close: async () => {
      await permits.close();
      redis.disconnect();
    },
  };
}

function successOf(id: string): JobResult {
  const data = { prompt_id: id, timestamp: Date.now() };
  const terminal = { type: 'execution_success', data } as TerminalEvent; // data is what this type has
  return {
    ...{ outcome: 'success', outputs: { '9': { images: [OUTPUT] } }, meta: {}, terminal },
    messages: [['execution_success', data]],
    report: { served_by: null, attempts: [], degraded: false, dropped_params: [] },
  };
}

export const executing = (id: string, node: string): WireEvent => ({
  ...{ type: 'executing', data: { node, display_node: node, prompt_id: id } },
});

/** The event that stands for a picture that is a result. */
export const resultPicture = (id: string, node: string): WireEvent => ({
  type: PICTURE_TYPE,
  data: {
    ...{ prompt_id: id, index: 0, node: plainNode(node), image_type: 'image/png', file: OUTPUT },
  },
});
