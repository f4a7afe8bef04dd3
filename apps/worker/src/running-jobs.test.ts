import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { DEFAULT_TENANT, jobIdOf, claimId, permitId, promptId } from '@tiercel/contracts';
import type { TakenJob } from '@tiercel/queue';
import { Claim } from './claim.ts';
import { RunningJobs } from './running-jobs.ts';

const job = (id: string, permit = `permit-${id}`): TakenJob => ({
  ...{
    id: jobIdOf(DEFAULT_TENANT, id),
    promptId: promptId(id),
    permit: permitId(permit),
    claimId: claimId(`claim-${id}`),
  },
  ...{ attempt: 1, takenAtMs: 0, number: 0, tenant: 'default', clientId: undefined },
  ...{ promptText: '{}', extraText: '{}', outputIds: [], createdAt: 0, cancelled: false },
  ...{ sealedSecrets: undefined, resumeToken: undefined, hasRunBefore: false },
});

describe('a claim that is stopped', () => {
  test.each([
    ['interrupt', false],
    ['timeout', false],
    ['shutdown', true],
    ['claim_lost', true],
    ['preempted', false],
  ] as const)('by %s: whether its end is no longer its own to write is %s', (reason, isGone) => {
    const claim = new Claim(job('a'));
    claim.stop(reason);
    expect(claim.signal.reason).toMatchObject({ reason });
    expect(claim.surrendered.aborted).toBe(isGone);
  });

  test('keeps its first reason, and can still be lost afterwards', () => {
    const claim = new Claim(job('a'));
    claim.stop('interrupt');
    claim.stop('claim_lost');
    expect(claim.signal.reason).toMatchObject({ reason: 'interrupt' });
    expect(claim.surrendered.reason).toMatchObject({ reason: 'claim_lost' });
  });
});

describe('running jobs', () => {
  test('are found by job and by permit, two runs of one job as one job', () => {
    const running = new RunningJobs();
    const [a, again, b] = [new Claim(job('a')), new Claim(job('a')), new Claim(job('b'))];
    for (const claim of [a, again, b]) running.add(claim);
    expect([running.count, running.ids()]).toEqual([3, ['a', 'b']]);
    expect(running.ofPermit(permitId('permit-a'))).toEqual([a, again]);
    running.remove(a);
    expect(running.ofPermit(permitId('permit-a'))).toEqual([again]);
  });

  test('every run of a job hears its interrupt, other jobs do not', () => {
    const running = new RunningJobs();
    const claims = [new Claim(job('a')), new Claim(job('a')), new Claim(job('b'))];
    for (const claim of claims) running.add(claim);
    running.interrupt(jobIdOf(DEFAULT_TENANT, 'a'));
    expect(claims.map(({ signal }) => signal.aborted)).toEqual([true, true, false]);
  });

  test('the run of one claim is found, no other run of its job', () => {
    const running = new RunningJobs();
    const later = { ...job('a'), claimId: claimId('another') };
    const claims = [new Claim(job('a')), new Claim(later), new Claim(job('b'))];
    for (const claim of claims) running.add(claim);
    expect(running.ofClaim('another')).toBe(claims[1]);
    expect(running.ofClaim('nobody')).toBeUndefined();
  });

  test('are all stopped at the end', () => {
    const running = new RunningJobs();
    const claims = [new Claim(job('a')), new Claim(job('b'))];
    for (const claim of claims) running.add(claim);
    running.stopAll('shutdown');
    for (const { signal } of claims) expect(signal.reason).toMatchObject({ reason: 'shutdown' });
  });
});

describe('an interrupt that comes before its job', () => {
  beforeEach(() => {
    jest.useFakeTimers({ now: 1_000_000 });
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  test('is remembered for a minute, and for one run', () => {
    const running = new RunningJobs();
    running.interrupt(jobIdOf(DEFAULT_TENANT, 'a'));
    running.interrupt(jobIdOf(DEFAULT_TENANT, 'b'));
    jest.advanceTimersByTime(59_000);
    expect(running.add(new Claim(job('a')))).toBe(true);
    expect(running.add(new Claim(job('a')))).toBe(false);
    jest.advanceTimersByTime(2_000);
    expect(running.add(new Claim(job('b')))).toBe(false);
  });

  test('is forgotten when ten thousand later ones came', () => {
    const running = new RunningJobs();
    for (let n = 0; n <= 10_000; n += 1) running.interrupt(jobIdOf(DEFAULT_TENANT, `j${n}`));
    expect(running.add(new Claim(job('j0')))).toBe(false);
    expect(running.add(new Claim(job('j1')))).toBe(true);
  });
});
