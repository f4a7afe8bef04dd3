import { describe, expect, test } from '@jest/globals';
import {
  DEFAULT_TENANT,
  jobIdOf,
  AppError,
  claimId,
  permitId,
  promptId,
  type TerminalEvent,
} from '@tiercel/contracts';
import type { TakenJob } from '@tiercel/queue';
import { AttemptStopped, JobError, serviceError } from '@tiercel/routing';
import { describeFailure, partialOf } from './terminal-event.ts';

const job = (more: Partial<TakenJob> = {}): TakenJob => ({
  ...{
    id: jobIdOf(DEFAULT_TENANT, 'a'),
    promptId: promptId('a'),
    permit: permitId('p'),
    claimId: claimId('c'),
  },
  ...{ attempt: 1, takenAtMs: 0, number: 0, tenant: 'default', clientId: undefined },
  ...{ promptText: '{}', extraText: '{}', outputIds: [], createdAt: 0, cancelled: false },
  ...{ sealedSecrets: undefined, resumeToken: undefined, hasRunBefore: false },
  ...more,
});

type Facts = Parameters<typeof describeFailure>[2];
const describeEnd = (
  cause: unknown,
  facts: Partial<Facts> = {},
  more: Partial<TakenJob> = {},
): TerminalEvent =>
  describeFailure(job(more), cause, {
    ...{ reason: undefined, timestamp: 7, jobTimeoutMs: 500, attempts: [] },
    ...facts,
  });

const stopped = new AttemptStopped({
  ...{ nodeId: '3', nodeType: 'KSampler', executed: ['1', '2'] },
  partial: { outputs: { '1': { images: [] } }, meta: {} },
});

describe('a job that was stopped', () => {
  const interrupted = {
    type: 'execution_interrupted',
    data: {
      prompt_id: 'a',
      node_id: '3',
      node_type: 'KSampler',
      executed: ['1', '2'],
      timestamp: 7,
    },
  };

  test('by its caller is told as interrupted, with the node it was at', () => {
    expect(describeEnd(stopped, { reason: 'interrupt' })).toEqual(interrupted);
  });

  test('where it ran, by somebody else, is told the same', () => {
    expect(describeEnd(stopped)).toEqual(interrupted);
  });

  test('before any node ran names none, whatever failed in that moment', () => {
    const none = { node_id: null, node_type: null, executed: [] };
    const failed = new Error('socket hang up');
    expect(describeEnd(failed, { reason: 'interrupt' })).toMatchObject({ data: none });
    expect(describeEnd(failed, {}, { cancelled: true })).toMatchObject({
      ...{ type: 'execution_interrupted', data: none },
    });
  });

  test('by its time limit is an error that names the limit, the node, and what was tried', () => {
    const attempts = [
      { tier: 'one', driver: 'openai', class: 'server', ms: 12, message: 'HTTP 500' },
      { tier: 'two', driver: 'comfyui', class: 'stopped', ms: 488 },
    ];
    const { type, data } = describeEnd(stopped, { reason: 'timeout', attempts });
    expect(type).toBe('execution_error');
    expect(data).toMatchObject({
      ...{ node_id: '3', node_type: 'KSampler', executed: ['1', '2'] },
      ...{ exception_type: 'node_timeout', timestamp: 7 },
      exception_message:
        'The job ran longer than its limit of 500 ms.\n' +
        'one (openai): server after 12 ms: HTTP 500\ntwo (comfyui): stopped after 488 ms\n',
    });
    const alone = describeEnd(stopped, { reason: 'timeout', attempts: attempts.slice(0, 1) });
    expect(alone.data).toMatchObject({
      exception_message: 'The job ran longer than its limit of 500 ms.\n',
    });
  });
});

describe('a job that failed', () => {
  test('is told as its error says', () => {
    expect(describeEnd(serviceError('content_refused', 'No room.\n'))).toMatchObject({
      type: 'execution_error',
      data: { prompt_id: 'a', exception_type: 'content_refused', exception_message: 'No room.\n' },
    });
  });

  test('by an error of ours tells nothing of its inside', () => {
    const { data } = describeEnd(new TypeError('cannot read /srv/secret of undefined'));
    expect(data).toMatchObject({
      exception_type: 'internal',
      exception_message: 'An internal error ended the job; the log has the details.\n',
    });
    expect(JSON.stringify(data)).not.toContain('secret');
  });

  test('for want of storage says so', () => {
    const cause = new AppError('storage_unavailable', 'The disk is full.');
    expect(describeEnd(cause).data).toMatchObject({
      ...{ exception_type: 'storage_unavailable', exception_message: 'The disk is full.\n' },
    });
  });

  test('keeps what was shown before it did', () => {
    const partial = { outputs: { '9': { text: ['x'] } }, meta: {} };
    const { details } = serviceError('internal', 'x\n');
    expect(partialOf(stopped).outputs).toHaveProperty('1');
    expect(partialOf(new JobError('internal', details, { partial }))).toEqual(partial);
    expect(partialOf(new Error('x')).outputs).toEqual({});
  });
});
