import { expect, test } from '@jest/globals';
import { claimId, DEFAULT_TENANT, jobIdOf, permitId, promptId } from '@tiercel/contracts';
import type { TakenJob } from '@tiercel/queue';
import { createLogger } from '@tiercel/runtime';
import { Claim } from './claim.ts';
import { Preemption } from './preemption.ts';
import { RunningJobs } from './running-jobs.ts';

/** What a worker does when a run was chosen to make room. */

function openParts(isPaused = false) {
  const answers: string[] = [];
  const running = new RunningJobs();
  const preemption = new Preemption({
    tell: () => Promise.resolve(),
    consumer: {
      choosePreempted: () => Promise.resolve([]),
      answerPreemption: (_job, answer) => {
        answers.push(answer);
        return Promise.resolve(true);
      },
    },
    running,
    isPaused: () => isPaused,
    log: createLogger({ level: 'silent', name: 'test' }),
  });
  const start = (resumeToken?: string): Claim => {
    const claim = new Claim({ ...JOB, ...(resumeToken !== undefined && { resumeToken }) });
    running.add(claim);
    return claim;
  };
  return { answers, preemption, start };
}

const JOB: TakenJob = {
  ...{
    id: jobIdOf(DEFAULT_TENANT, 'a'),
    promptId: promptId('a'),
    permit: permitId('p1'),
    claimId: claimId('c1'),
  },
  ...{ attempt: 1, takenAtMs: 0, number: 0, tenant: 'default', clientId: undefined },
  ...{ promptText: '{}', extraText: '{}', outputIds: [], createdAt: 0, cancelled: false },
  ...{ sealedSecrets: undefined, resumeToken: undefined, hasRunBefore: false },
};

test('it stops the run, once it is written down that the next one begins anew', async () => {
  const { answers, preemption, start } = openParts();
  const claim = start();
  await preemption.answer('c1');
  await preemption.answer('c1');
  await preemption.answer('another');
  expect(answers).toEqual(['goes-back']);
  expect(claim.signal.reason).toMatchObject({ reason: 'preempted' });
});

test('what has been paid for goes on, and what was begun by an earlier run', async () => {
  for (const isPaid of [true, false]) {
    const { answers, preemption, start } = openParts();
    const claim = start(isPaid ? undefined : 'where it runs');
    claim.keepWhile(() => isPaid);
    await preemption.answer('c1');
    expect([answers, claim.signal.aborted]).toEqual([['goes-on'], false]);
  }
});

test('what is paid for meanwhile goes on', async () => {
  const { answers, preemption, start } = openParts();
  const claim = start();
  claim.keepWhile(() => answers.length > 0);
  await preemption.answer('c1');
  expect([answers, claim.signal.aborted]).toEqual([['goes-back', 'goes-on'], false]);
});

test('a worker that starts nothing makes no room', async () => {
  const paused = openParts(true);
  const stopped = openParts();
  stopped.preemption.stop();
  for (const { answers, preemption, start } of [paused, stopped]) {
    const claim = start();
    await preemption.answer('c1');
    expect([answers, claim.signal.aborted]).toEqual([['goes-on'], false]);
  }
});
