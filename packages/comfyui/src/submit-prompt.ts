import { setTimeout as sleep } from 'node:timers/promises';
import { isJsonObject, joinMembers, parseJson, sliceMembers } from '@tiercel/contracts';
import {
  type AttemptContext,
  AttemptError,
  type AttemptRequest,
  AttemptStopped,
  JobError,
} from '@tiercel/routing';
import { ComfyRequestError } from './comfy-request.ts';
import { type CallerNames, type InputFiles, pushInputs } from './input-files.ts';
import type { PoolServer } from './pool-server.ts';
import { findPrompt } from './prompt-control.ts';
import { rejectionError } from './prompt-ending.ts';

/** Of one file, up or down: a long video on a slow line. */
export const TRANSFER_TIMEOUT_MS = 300_000;

const LOOKS = 8;
const LOOK_EVERY_MS = 500;

/** What Tiercel reads itself (`fallback`, `cache`), and whose frames a prompt's are: for the server that is us. */
const OWN_MEMBERS = ['fallback', 'cache', 'client_id', 'webhook'];

/** Where an attempt's prompt is: written on the job before it is sent, for whoever goes on with it. */
export interface ResumeToken {
  readonly server: string;
  readonly id: string;
  /** Where its frames go; undefined in a token of an earlier version. */
  readonly clientId: string | undefined;
}

/** The token that an earlier attempt has written; undefined when there is none that can be read. */
export function readResumeToken(text: string | undefined): ResumeToken | undefined {
  if (text === undefined) return undefined;
  const token = parseJson(text);
  if (!isJsonObject(token)) return undefined;
  const { server, id, clientId } = token;
  if (typeof server !== 'string' || typeof id !== 'string') return undefined;
  return { server, id, clientId: typeof clientId === 'string' ? clientId : undefined };
}

export interface Submission {
  readonly upstreamId: string;
  readonly request: AttemptRequest;
  readonly context: AttemptContext;
  readonly clientId: string;
  readonly files: InputFiles;
  /** Learns the names that are replaced on the way. */
  readonly callerNames: CallerNames;
}

/**
 * Brings a prompt and the files that it names to a server. Afterwards the server has it.
 * @throws JobError when the server refuses the prompt, AttemptError when it is not there afterwards
 */
export async function submitPrompt(server: PoolServer, submission: Submission): Promise<void> {
  const { upstreamId, request, context, clientId, files, callerNames } = submission;
  const { client, abilities } = server;
  const promptText = await pushInputs(
    request.graph,
    request.promptText,
    abilities?.objectInfo ?? {},
    {
      openInput: (name) => files.openInput(name),
      noteName: (renamed) => {
        callerNames.note(renamed);
      },
      push: ({ name, subfolder, content }) =>
        // Without the job's signal: other jobs may be waiting for the same transfer.
        server.pushOnce(`${subfolder}/${name}`, async () => {
          // Over what a transfer that broke off may have left under this name.
          const file = { name, subfolder, content, overwrite: true };
          await client.upload(file, undefined, TRANSFER_TIMEOUT_MS);
        }),
    },
  );
  if (context.signal.aborted) {
    throw new AttemptStopped({ nodeId: null, nodeType: null, executed: [] });
  }
  // Written first: whoever takes over looks the prompt up instead of sending it again.
  const token: ResumeToken = { server: server.url, id: upstreamId, clientId };
  await context.saveResumeToken(JSON.stringify(token));
  try {
    // Without the signal: who stops a prompt on its way must know first that it is there.
    const answer = await client.submit({
      promptId: upstreamId,
      promptText,
      clientId,
      extraDataText: writeExtraData(request),
      outputIds: request.outputIds,
    });
    if (answer.kind === 'rejected') throw rejectionError(answer.rejection);
    if (answer.promptId !== upstreamId) {
      throw new AttemptError('bad_output', 'the server does not keep the prompt_id it was given');
    }
  } catch (error) {
    // It may have arrived although the answer did not: looked up, never sent twice.
    if (error instanceof JobError || !(await hasArrived(server, upstreamId, error))) throw error;
  }
}

/**
 * extra_data for a server: all that the caller sent, in the caller's own text, because nodes and extensions read
 * members that nobody here knows (`preview_method`, `comfy_usage_source`, ...), and the credentials that came
 * with it.
 */
function writeExtraData({
  extraDataText,
  secretsText,
}: Pick<AttemptRequest, 'extraDataText' | 'secretsText'>): string {
  const members = new Map([...sliceMembers(extraDataText), ...sliceMembers(secretsText ?? '{}')]);
  for (const name of OWN_MEMBERS) members.delete(name);
  return joinMembers(members);
}

/** A server that has not answered may still be reading the prompt: it is asked for a while. */
async function hasArrived(server: PoolServer, id: string, error: unknown): Promise<boolean> {
  const isOpen =
    error instanceof ComfyRequestError && error.uncertain && error.status === undefined;
  try {
    for (let looks = isOpen ? LOOKS : 1; looks > 0; looks -= 1) {
      if ((await findPrompt(server.client, id)).kind !== 'nowhere') return true;
      if (looks > 1) await sleep(LOOK_EVERY_MS);
    }
  } catch {
    // It does not answer this either: `error` says what is wrong with it.
  }
  return false;
}
