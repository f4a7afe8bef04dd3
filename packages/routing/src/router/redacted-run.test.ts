import { DEFAULT_TENANT } from '@tiercel/contracts';
import { describe, expect, test } from '@jest/globals';
import type { WireEvent } from '@tiercel/contracts';
import { GraphAnalysis } from '@tiercel/graph';
import { createSecretMask } from '@tiercel/runtime';
import type {
  AttemptListener,
  AttemptRequest,
  AttemptResult,
  Backend,
  TierAttemptContext,
} from '../backend.ts';
import { AttemptError, AttemptStopped, JobError } from '../failures.ts';
import { runRedacted } from './redacted-run.ts';

const KEY = 'callers-key-0123456789';
const OPERATORS = 'operators-key-987654321';
const configMask = createSecretMask([OPERATORS]);

const request = (secrets?: object): AttemptRequest => ({
  tenant: DEFAULT_TENANT,
  ...{ promptId: 'p', graph: {}, promptText: '{}', extraDataText: '{}', outputIds: [] },
  analysis: new GraphAnalysis({}, []),
  ...{ resumeToken: undefined, fallback: undefined, cache: undefined, deadlineMs: 0 },
  secretsText: secrets === undefined ? undefined : JSON.stringify(secrets),
});

const result = (text: string): AttemptResult => ({
  outputs: { '1': { text: [text] } },
  ...{ meta: {}, model: text, droppedParams: [], sketch: false },
});

/** Runs what a backend does, and collects what its listener is told. */
async function run(
  act: (context: TierAttemptContext) => AttemptResult,
  secrets?: object,
): Promise<{ received: unknown[]; outcome: unknown }> {
  const received: unknown[] = [];
  const report = (...args: unknown[]): void => {
    received.push(args);
  };
  const listener: AttemptListener = {
    ...{ cached: report, nodeStarted: report, progress: report, executed: report },
    ...{ nodeFinished: report, relay: report, text: report, picture: report },
    runBegins: () => undefined,
  };
  const backend: Backend = {
    ...{ name: 'b', driver: 'b', timeoutMs: 1 },
    supports: () => ({ ok: true }),
    run: (_, context) => Promise.resolve().then(() => act(context)),
  };
  const context = {
    ...{ signal: new AbortController().signal, listener, saveResumeToken: () => Promise.resolve() },
    ...{ recorded: Promise.resolve(), hasAlternative: false, expectedMs: undefined },
    claim: () => undefined,
  };
  const outcome = await runRedacted(backend, request(secrets), context, configMask).catch(
    (error: unknown) => error,
  );
  return { received, outcome };
}

describe('what an attempt tells and returns', () => {
  const bytes = Buffer.from(`picture ${KEY}`);
  const preview = { mediaType: 'image/png', bytes } as const;
  const act = (context: TierAttemptContext): AttemptResult => {
    const { listener } = context;
    const said = `said ${KEY}`;
    listener.cached([said]);
    listener.nodeStarted(said);
    listener.progress(said, 1, 2, preview, true);
    listener.executed(said, { text: [said, 18446744073709551615n] });
    listener.executed('2', null);
    listener.nodeFinished(said);
    const event: WireEvent = { type: 'ext', data: { deep: [{ [said]: said }], seed: 5n } };
    listener.relay([event], { nodeId: said, picture: preview });
    const file = { filename: 'a.png', subfolder: 'sent', type: 'temp' } as const;
    listener.picture(said, { mediaType: 'image/png', file });
    listener.text(said, said);
    return result(`${said} as ${context.mask.text(`file-${KEY}`)}`);
  };

  test('holds no secret of the job, whichever way it is told; pictures and numbers stay', async () => {
    const { received, outcome } = await run(act, { api_key_comfy_org: KEY });
    const said = 'said [redacted]';
    expect(received).toEqual([
      [[said]],
      [said],
      [said, 1, 2, preview, true],
      [said, { text: [said, 18446744073709551615n] }],
      ['2', null],
      [said],
      [
        [{ type: 'ext', data: { deep: [{ [said]: said }], seed: 5n } }],
        { nodeId: said, picture: preview },
      ],
      [
        said,
        { mediaType: 'image/png', file: { filename: 'a.png', subfolder: 'sent', type: 'temp' } },
      ],
      [said, said],
    ]);
    expect(outcome).toEqual(result(`${said} as file-[redacted]`));
  });

  test.each([
    ['of a list', { api_key_comfy_org: [KEY] }],
    ['deep inside', { auth_token_comfy_org: { a: [{ token: KEY }] } }],
    ['behind its scheme', { auth_token_comfy_org: `Bearer ${KEY}` }],
  ])('a secret %s is found', async (_, secrets) => {
    const { outcome } = await run(act, secrets);
    expect(JSON.stringify(outcome)).not.toContain(KEY);
  });

  test('is handed on untouched when the job has no secrets', async () => {
    const { received, outcome } = await run(act);
    expect(outcome).toEqual(result(`said ${KEY} as file-${KEY}`));
    expect(received).toHaveLength(9);
  });
});

describe('what an attempt fails with', () => {
  const secrets = { api_key_comfy_org: KEY };
  const fail = (error: Error) => () => {
    throw error;
  };

  test('keeps class and cause, and loses secrets in messages and stacks of the whole chain', async () => {
    const cause = new Error(`sent ${KEY} with ${OPERATORS}`);
    const error = new AttemptError('quota', `no quota for ${KEY}, see /srv/app/quota.json`, {
      ...{ cause, retryAtMs: 5 },
    });
    const { outcome } = await run(fail(error), secrets);
    expect(outcome).toBeInstanceOf(AttemptError);
    expect(outcome).toMatchObject({
      ...{ class: 'quota', retryAtMs: 5 },
      message: 'no quota for [redacted], see quota.json',
      cause: { message: 'sent [redacted] with [redacted]' },
    });
    expect(`${error.stack} ${cause.stack}`).not.toMatch(/0123456789|987654321/);
  });

  test('an error of a node keeps ComfyUI’s members in their order', async () => {
    const details = {
      ...{ node_id: '7', node_type: 'N', executed: ['1'] },
      exception_message: `refused ${KEY} of '/srv/ComfyUI/custom_nodes/a/b.py'\n`,
      exception_type: 'ValueError',
      traceback: [`  File "/srv/ComfyUI/execution.py", line 1, key=${KEY}\n`],
      current_inputs: { a: [KEY, 7n], path: ['/srv/in/x.png'], text: ['about /srv/in/x.png'] },
      current_outputs: ['1'],
    };
    const partial = { outputs: { '1': { text: [KEY] } }, meta: {} };
    const { outcome } = await run(fail(new JobError('node_failed', details, { partial })), secrets);
    const failed = outcome as JobError;
    expect(failed).toBeInstanceOf(JobError);
    expect(Object.keys(failed.details)).toEqual(Object.keys(details));
    expect(failed).toMatchObject({
      code: 'node_failed',
      details: {
        exception_message: "refused [redacted] of 'custom_nodes/a/b.py'\n",
        traceback: ['  File "execution.py", line 1, key=[redacted]\n'],
        // What is a path as a whole was made by a node; a text that mentions one is the caller's.
        current_inputs: { a: ['[redacted]', 7n], path: ['x.png'], text: ['about /srv/in/x.png'] },
      },
      partial: { outputs: { '1': { text: ['[redacted]'] } } },
    });
  });

  test('a stop keeps where it was', async () => {
    const stopped = new AttemptStopped({ nodeId: '7', nodeType: KEY, executed: ['1'] });
    const { outcome } = await run(fail(stopped), secrets);
    expect(outcome).toBeInstanceOf(AttemptStopped);
    expect(outcome).toMatchObject({ nodeId: '7', nodeType: '[redacted]', executed: ['1'] });
  });

  test('holds no secret of the configuration either, for a job without any', async () => {
    const { outcome } = await run(fail(new AttemptError('config', `bad key ${OPERATORS}`)));
    expect((outcome as Error).message).toBe('bad key [redacted]');
  });
});
