import { describe, expect, test } from '@jest/globals';
import {
  DEFAULT_TENANT,
  describeFleet,
  jobIdOf,
  promptId,
  workerId,
  type Fleet,
  type JobNeeds,
  type KnownProfile,
} from '@tiercel/contracts';
import { createClaimId } from './consumer.ts';
import { needsText } from './kinds.ts';
import type { NewJob } from './producer.ts';
import { newJob, useQueueParts } from './queue.test-helpers.ts';
import type { TakenJob } from './taken-job.ts';

/** Workers that differ: which of them gets a job, and what a change of the fleet does to jobs that wait. */

const parts = useQueueParts();

const worker = (id: string, classes: readonly string[]): KnownProfile => ({
  ...{ id, isLive: true },
  profile: { pool: { name: 'default' }, tiers: [], classes: [...classes] },
});
const A = worker('aa', ['A']);
const B = worker('bb', ['B']);
const BOTH = worker('cc', ['A', 'B']);

/** A prompt of a test is a JSON list of its classes. */
const describeNeeds = (promptText: string): Pick<JobNeeds, 'classes' | 'models'> => ({
  classes: JSON.parse(promptText) as string[],
  models: [],
});
const follow = (...profiles: readonly KnownProfile[]): Promise<void> =>
  parts.kinds.follow(describeFleet(profiles), describeNeeds);

const add = (id: string, classes: readonly string[], fields: Partial<NewJob> = {}) =>
  parts.add(id, { promptText: JSON.stringify(classes), ...fields });

let permits = 0;
const take = (
  profile: string,
  permit = `permit-${(permits += 1)}`,
): Promise<TakenJob | undefined> =>
  parts.consumer.take(permit, workerId(profile), createClaimId(), profile);
const takeIds = async (profile: string, count: number): Promise<(string | undefined)[]> => {
  const ids: (string | undefined)[] = [];
  for (let n = 0; n < count; n += 1) ids.push((await take(profile))?.promptId);
  return ids;
};
/** Keys of the queue that only workers that differ bring about. */
const listKindKeys = async (): Promise<string[]> => {
  const keys = await parts.redis.keys('qtest:*');
  return keys.filter((key) => /:(kinds|kind:.*|elsewhere|unjudged|judg.*|.*\n.*)$/.test(key));
};

describe('workers that can run different jobs', () => {
  test('each get what they can run, in order, and leave the rest', async () => {
    await follow(A, B, BOTH);
    for (const [id, classes] of [
      ['a1', ['A']],
      ['b1', ['B']],
      ['ab', ['A', 'B']],
      ['a2', ['A']],
    ] as const) {
      await add(id, classes);
    }
    await follow(A, B, BOTH);
    expect(await takeIds('bb', 2)).toEqual(['b1', undefined]);
    expect(await takeIds('aa', 3)).toEqual(['a1', 'a2', undefined]);
    expect(await takeIds('cc', 2)).toEqual(['ab', undefined]);
  });

  test('share one account of a tenant', async () => {
    const tenant = (id: string, weight = 1) => ({ tenant: { id, limits: { weight } } });
    const cost = { signature: 's', estimateMs: 1_000 };
    await follow(A, B);
    for (let n = 0; n < 3; n += 1) {
      await add(`t-a${n}`, ['A'], { ...tenant('T'), cost });
      await add(`t-b${n}`, ['B'], { ...tenant('T'), cost });
      await add(`u-b${n}`, ['B'], { ...tenant('U'), cost });
    }
    await follow(A, B);
    // What T gets of the one counts at the other.
    expect(await takeIds('aa', 2)).toEqual(['t-a0', 't-a1']);
    expect(await takeIds('bb', 4)).toEqual(['u-b0', 'u-b1', 't-b0', 'u-b2']);
  });

  test('count the running jobs of a tenant together', async () => {
    const tenant = { tenant: { id: 'T', limits: { weight: 1, maxRunning: 1 } } };
    await follow(A, B);
    await add('a', ['A'], tenant);
    await add('b', ['B'], tenant);
    await follow(A, B);
    const first = await take('aa');
    expect(first?.promptId).toBe('a');
    expect(await take('bb')).toBeUndefined();
    await parts.finish(first);
    expect((await take('bb'))?.promptId).toBe('b');
  });

  test('a job that nobody can run keeps no other job of its client waiting', async () => {
    await follow(A, B);
    await add('none', ['C'], { clientId: 'c' });
    await add('a', ['A'], { clientId: 'c' });
    await add('b', ['B'], { clientId: 'c' });
    await follow(A, B);
    const a = await take('aa');
    expect(a?.promptId).toBe('a');
    // But of one client one job runs at a time.
    expect(await take('bb')).toBeUndefined();
    await parts.finish(a);
    expect((await take('bb'))?.promptId).toBe('b');
  });

  test('what a dead worker ran goes to one that can run it, not to whoever gets its permit', async () => {
    await follow(A, B);
    await add('a', ['A']);
    await add('b', ['B']);
    await follow(A, B);
    expect((await take('aa', 'of the dead'))?.attempt).toBe(1);
    expect((await take('bb', 'of the dead'))?.promptId).toBe('b');
    const again = await take('aa');
    expect([again?.promptId, again?.attempt]).toEqual(['a', 2]);
  });

  test('an interrupted job whose worker died is ended by any other', async () => {
    await follow(A, B);
    await add('a', ['A']);
    await follow(A, B);
    const job = await take('aa');
    await parts.editor.of(DEFAULT_TENANT).cancel(['a']);
    await parts.consumer.requeue(job!.id, job!.claimId, { countAttempt: true });
    await follow(A, B);
    expect(await take('bb')).toMatchObject({ promptId: 'a', cancelled: true });
  });

  test('are called when one of their jobs becomes ready, and only then', async () => {
    await follow(A, B);
    const calls: string[] = [];
    const listener = parts.redis.duplicate();
    listener.on('message', (_, kind: string) => calls.push(kind));
    await listener.subscribe(parts.names.readyChannel);
    const verdict = (kind: string) => ({ verdict: { kind, needs: '', fleet: 'aa,bb' } });
    await add('a', ['A'], verdict(';aa=0;'));
    await add('all', ['D'], verdict(''));
    await add('b1', ['B'], { clientId: 'c', ...verdict(';bb=0;') });
    await add('b2', ['B'], { clientId: 'c', ...verdict(';bb=0;') });
    await parts.finish(await take('bb'));
    await parts.finish(await take('bb'));
    await listener.ping();
    listener.disconnect();
    expect(calls.filter((kind) => kind === ';aa=0;')).toHaveLength(1);
    expect(calls).toContain(';bb=0;');
    // Only what is for all of them adds a permit for whoever comes.
    expect(await parts.permits.getJobCountByTypes('waiting')).toBe(1);
  });
});

describe('a pool that prefers plans', () => {
  test('takes theirs first, and others when there are none of these', async () => {
    const kind = (text: string) => ({ verdict: { kind: text, needs: '', fleet: '' } });
    await add('free', ['A'], kind(';aa=1;bb=0;'));
    await add('pro', ['A'], kind(';aa=0;'));
    await add('free 2', ['A'], kind(';aa=1;bb=0;'));
    expect(await takeIds('aa', 2)).toEqual(['pro', 'free']);
    expect(await takeIds('bb', 2)).toEqual(['free 2', undefined]);
  });
});

describe('when the workers change', () => {
  test('jobs that wait are judged anew, whatever was posted meanwhile', async () => {
    await add('a', ['A']);
    await add('ab', ['A', 'B']);
    await follow(A);
    // All alike: nobody is asked.
    expect(await listKindKeys()).toEqual([]);
    await follow(A, BOTH);
    expect(await takeIds('aa', 2)).toEqual(['a', undefined]);
    // Posted by an API that does not know of the change.
    await add('late', ['A', 'B']);
    await follow(A, BOTH);
    expect(await take('aa')).toBeUndefined();
    await follow(BOTH);
    expect(await takeIds('cc', 3)).toEqual(['ab', 'late', undefined]);
    expect(await listKindKeys()).toEqual([]);
  });

  test('what nobody could run is run by a worker that comes', async () => {
    await follow(A, B);
    await add('ab', ['A', 'B']);
    await follow(A, B);
    for (const profile of ['aa', 'bb']) expect(await take(profile)).toBeUndefined();
    await follow(A, B, BOTH);
    expect((await take('cc'))?.promptId).toBe('ab');
  });

  test('a job that has no place yet is judged too, and released to those that can run it', async () => {
    await parts.producer.enqueue(newJob('a', { promptText: '["A"]' }));
    await follow(A, B);
    expect(await take('bb')).toBeUndefined();
    await parts.producer.release(promptId('a'));
    expect(await take('bb')).toBeUndefined();
    expect((await take('aa'))?.promptId).toBe('a');
  });

  test('a judge that was overtaken changes nothing more', async () => {
    await add('a', ['A']);
    const old = describeFleet([A, B]);
    await follow(B, BOTH);
    expect(
      await parts.kinds.write(
        [{ id: jobIdOf(DEFAULT_TENANT, 'a'), kind: ';aa=0;' }],
        old.signature,
      ),
    ).toBe(false);
    expect((await take('cc'))?.promptId).toBe('a');
  });

  test('a judge that died half-way is followed by another', async () => {
    await follow(A, B);
    await add('b', ['B']);
    const fleet: Fleet = describeFleet([A, BOTH]);
    const dying = parts.kinds.follow(fleet, () => {
      throw new Error('the process dies');
    });
    await expect(dying).rejects.toThrow('dies');
    await parts.kinds.follow(fleet, describeNeeds);
    expect(await take('aa')).toBeUndefined();
    expect((await take('cc'))?.promptId).toBe('b');
  });
});

describe('a worker that finds it cannot run a job', () => {
  test('hands it to the others, and is not given it again', async () => {
    await follow(A, BOTH);
    await add('a', ['A']);
    const job = await take('aa');
    await parts.consumer.decline(job!, 'aa', ';cc=0;');
    expect(await take('aa')).toBeUndefined();
    await follow(A, BOTH);
    expect(await take('aa')).toBeUndefined();
    const taken = await take('cc');
    expect([taken?.promptId, taken?.attempt]).toEqual(['a', 1]);
  });

  test('is asked once more when it is the only one left', async () => {
    await follow(A, BOTH);
    await add('a', ['A'], {
      verdict: { kind: '', needs: needsText({ classes: ['A'], models: [] }), fleet: 'aa,cc' },
    });
    await parts.consumer.decline((await take('aa'))!, 'aa', ';cc=0;');
    await follow(A);
    expect((await take('aa'))?.promptId).toBe('a');
  });
});
