import { describe, expect, test } from '@jest/globals';
import { JobError, serviceError } from '@tiercel/routing';
import { sealSecrets } from '@tiercel/runtime';
import { until } from '@tiercel/testkit';
import { SECRET_KEY, SHOWN, useJobs, type JobOnRecord } from './worker.test-helpers.ts';

const jobs = useJobs();

const typesOf = ({ messages }: JobOnRecord): string[] => messages.map(([type]) => type);
const endOf = ({ messages }: JobOnRecord): unknown => messages.at(-1)?.[1];
const lockOf = async (): Promise<string> => {
  const [lock] = await jobs.redis.keys(`${jobs.names.bullPrefix}:permits:*:lock`);
  if (lock === undefined) throw new Error('no permit is held');
  return lock;
};

describe('a job', () => {
  test('is brought to the backend as it was sent, and its end is on record and told', async () => {
    const received = await jobs.listenTo('a');
    const worker = await jobs.startWorker();
    const secrets = sealSecrets(SECRET_KEY, '{"api_key_comfy_org":"a secret key"}');
    await jobs.add('a', { secrets, extraText: '{"fallback":"never","cache":false}' });
    const { request, context, serve } = await worker.attempt();
    expect(request).toMatchObject({
      promptId: 'a',
      graph: { '1': { class_type: 'A', inputs: { seed: 18446744073709551615n } } },
      outputIds: ['1'],
      cache: false,
      secretsText: '{"api_key_comfy_org":"a secret key"}',
    });
    const running = await jobs.inState('a', 'running');
    expect(running.attempt).toBe(1);
    context.listener.cached([]);
    context.listener.nodeStarted('1');
    context.listener.executed('1', SHOWN['1']);
    context.listener.nodeFinished('1');
    serve();
    const ended = await jobs.inState('a', 'success');
    expect(ended.outputs).toEqual(SHOWN);
    expect(ended.report).toMatchObject({ served_by: { tier: 'held', model: 'm' } });
    expect(typesOf(ended)).toEqual(['execution_start', 'execution_cached', 'execution_success']);
    await until(() => received.at(-1)?.type === 'executing');
    expect(received.map(({ type }) => type)).toEqual([
      ...['execution_start', 'execution_cached', 'progress_state', 'executing', 'executed'],
      ...['progress_state', 'tiercel_report', 'execution_success', 'status', 'executing'],
    ]);
    expect(received.at(-1)?.data).toMatchObject({ node: null, prompt_id: 'a' });
    await expect(context.recorded).resolves.toBeUndefined();
  });

  test('is followed by the next ones under its permit, and in the end every permit is given back', async () => {
    const worker = await jobs.startWorker();
    for (const id of ['a', 'b', 'c']) await jobs.add(id);
    for (const [index, id] of ['a', 'b', 'c'].entries()) {
      const { request, serve } = await worker.attempt(index);
      expect([request.promptId, worker.running.count]).toEqual([id, 1]);
      serve();
      await jobs.inState(id, 'success');
    }
    await until(async () => (await jobs.countPermits()) === 0);
    expect(worker.running.count).toBe(0);
  });

  test('that fails says what failed, and keeps what it had shown', async () => {
    const worker = await jobs.startWorker();
    await jobs.add('a');
    const details = { ...serviceError('node_failed', 'no such file').details, node_id: '1' };
    (await worker.attempt()).fail(
      new JobError('node_failed', details, { partial: { outputs: SHOWN, meta: {} } }),
    );
    const ended = await jobs.inState('a', 'error');
    expect(endOf(ended)).toMatchObject({ node_id: '1', exception_message: 'no such file' });
    expect(ended.outputs).toEqual(SHOWN);
  });

  test('that fails by an error of ours tells nothing of it', async () => {
    const worker = await jobs.startWorker();
    await jobs.add('a');
    (await worker.attempt()).fail(new TypeError('/home/operator: cannot read properties'));
    const ended = await jobs.inState('a', 'error');
    expect(endOf(ended)).toMatchObject({ exception_type: 'internal' });
    expect(JSON.stringify(ended)).not.toMatch(/operator|cannot read/);
  });

  test('that takes longer than its limit is stopped and says where it was', async () => {
    const worker = await jobs.startWorker({ jobTimeoutMs: 150 });
    await jobs.add('a');
    const { context } = await worker.attempt();
    const ended = await jobs.inState('a', 'error');
    expect(context.signal.reason).toMatchObject({ reason: 'timeout' });
    expect(endOf(ended)).toMatchObject({
      exception_type: 'node_timeout',
      exception_message: expect.stringContaining('150 ms'),
      node_id: '1',
    });
  });

  test('whose workers have died too often is not run again', async () => {
    await jobs.add('a');
    await jobs.loseRun('a');
    await jobs.loseRun('a');
    const worker = await jobs.startWorker({ attempts: 2 });
    const ended = await jobs.inState('a', 'error');
    expect(endOf(ended)).toMatchObject({ exception_type: 'worker_lost' });
    expect(worker.attempts).toEqual([]);
  });
});

describe('an interrupt', () => {
  test('stops the job that it is meant for where it is, and no other', async () => {
    const worker = await jobs.startWorker({ concurrency: 2 });
    await jobs.add('a');
    await jobs.add('b');
    const other = await worker.attempt(1);
    await jobs.interrupt('a');
    const ended = await jobs.inState('a', 'interrupted');
    expect(typesOf(ended)).toEqual(['execution_start', 'execution_interrupted']);
    expect(endOf(ended)).toMatchObject({ node_id: '1', node_type: 'A', executed: [] });
    expect(other.context.signal.aborted).toBe(false);
    other.serve();
    await jobs.inState('b', 'success');
  });

  test('whose message was lost with the connection is found on the record', async () => {
    const worker = await jobs.startWorker();
    await jobs.add('a');
    await worker.attempt();
    // What Editor.interrupt leaves on the record, without the message.
    await jobs.redis.hset(jobs.names.job('a'), 'cancel', '1');
    await jobs.redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await jobs.inState('a', 'interrupted');
  });

  test('that came while the worker was dying ends the job before it runs again', async () => {
    await jobs.add('a');
    await jobs.redis.hset(jobs.names.job('a'), 'cancel', '1');
    const worker = await jobs.startWorker();
    const ended = await jobs.inState('a', 'interrupted');
    expect(endOf(ended)).toMatchObject({ node_id: null });
    expect(worker.attempts).toEqual([]);
  });

  test('reaches work that goes on somewhere: who noted where it is, is to stop it there', async () => {
    const first = await jobs.startWorker();
    await jobs.add('a');
    await (await first.attempt()).context.saveResumeToken('on server 7');
    await first.stop(0);
    await jobs.inState('a', 'pending');
    await jobs.redis.hset(jobs.names.job('a'), 'cancel', '1');
    const second = await jobs.startWorker();
    const { request, context } = await second.attempt();
    expect(request.resumeToken).toBe('on server 7');
    expect(context.signal.reason).toMatchObject({ reason: 'interrupt' });
    await jobs.inState('a', 'interrupted');
  });

  test('of an earlier job of the same id does not stop this one', async () => {
    const worker = await jobs.startWorker();
    await jobs.redis.publish(jobs.names.interruptChannel, 'a');
    await jobs.add('a');
    const { context, serve } = await worker.attempt();
    expect(context.signal.aborted).toBe(false);
    serve();
    await jobs.inState('a', 'success');
  });
});

describe('a claim', () => {
  test('that somebody else has got ends the run: nothing of it is told or written any more', async () => {
    const slow = await jobs.startWorker();
    await jobs.add('a');
    const late = await slow.attempt();
    const received = await jobs.listenTo('a');
    const next = await jobs.startWorker();
    await jobs.redis.del(await lockOf());
    const again = await next.attempt();
    await until(() => late.context.signal.aborted);
    expect(late.context.signal.reason).toMatchObject({ reason: 'claim_lost' });
    late.context.listener.executed('1', { text: ['too late'] });
    again.context.listener.executed('1', SHOWN['1']);
    again.serve({ meta: {} });
    const ended = await jobs.inState('a', 'success');
    expect(ended).toMatchObject({ attempt: 2, outputs: SHOWN });
    await until(() => received.at(-1)?.type === 'executing');
    expect(JSON.stringify(received)).not.toContain('too late');
    expect(received.filter(({ type }) => type === 'execution_success')).toHaveLength(1);
    await until(() => slow.running.count === 0);
  });

  test('outlives its lock as long as nobody else has taken the job', async () => {
    const worker = await jobs.startWorker({ concurrency: 2 });
    await jobs.add('a');
    const { context, serve } = await worker.attempt();
    const lock = await lockOf();
    await jobs.redis.del(lock);
    // Delivered again, to the process that is at work with it.
    await until(() => jobs.redis.get(lock));
    expect(context.signal.aborted).toBe(false);
    serve();
    expect(await jobs.inState('a', 'success')).toMatchObject({ attempt: 1 });
    expect(worker.attempts).toHaveLength(1);
    await until(async () => (await jobs.countPermits()) === 0);
  });

  test('that is void is noticed by the first event that nobody takes', async () => {
    const worker = await jobs.startWorker({ concurrency: 2, lockMs: 60_000 });
    await jobs.add('a');
    const first = await worker.attempt();
    // What it has said by now was taken.
    await until(async () => Number(await jobs.redis.hget(jobs.names.job('a'), 'batch')) > 0);
    await jobs.redis.hset(jobs.names.job('a'), 'claim', 'of somebody else');
    expect(first.context.signal.aborted).toBe(false);
    first.context.listener.nodeStarted('1');
    await until(() => first.context.signal.aborted);
    expect(first.context.signal.reason).toMatchObject({ reason: 'claim_lost' });
    await until(() => worker.running.count === 0);
    expect(await jobs.inState('a', 'running')).toMatchObject({ attempt: 1, outputs: {} });
  });

  test('that is void begins nothing that would have to be found again', async () => {
    const worker = await jobs.startWorker({ lockMs: 60_000 });
    await jobs.add('a');
    const { context } = await worker.attempt();
    await jobs.redis.hset(jobs.names.job('a'), 'claim', 'of somebody else');
    await expect(context.saveResumeToken('on server 7')).rejects.toThrow('stopped');
    expect(await jobs.redis.hget(jobs.names.job('a'), 'note')).toBeNull();
  });
});

describe('a result that cannot be written', () => {
  test('because Redis refuses it is kept, and written when Redis takes it', async () => {
    const worker = await jobs.startWorker();
    await jobs.add('a');
    const { serve } = await worker.attempt();
    const lock = await lockOf();
    await jobs.redis.config('SET', 'min-replicas-to-write', '1');
    try {
      serve();
      // It is refused for longer than the lock lasts, which cannot be renewed either.
      await until(async () => (await jobs.redis.get(lock)) === null);
      expect(worker.running.count).toBe(1);
      await jobs.inState('a', 'running');
    } finally {
      await jobs.redis.config('SET', 'min-replicas-to-write', '0');
    }
    expect(await jobs.inState('a', 'success')).toMatchObject({ attempt: 1, outputs: SHOWN });
    expect(worker.attempts).toHaveLength(1);
  });

  test('for another reason ends its job as our error, not as one that runs for ever', async () => {
    const worker = await jobs.startWorker();
    await jobs.add('a');
    // No JSON: a bigint in `meta`, whose numbers are none.
    const entry = { node_id: '1', display_node: '1', parent_node: null, real_node_id: '1' };
    const meta = { '1': { ...entry, extra: 1n } };
    (await worker.attempt()).serve({ meta });
    const ended = await jobs.inState('a', 'error');
    expect(endOf(ended)).toMatchObject({ exception_type: 'internal' });
    expect(ended).toMatchObject({ outputs: {}, meta: {} });
    await until(async () => (await jobs.countPermits()) === 0);
  });
});
