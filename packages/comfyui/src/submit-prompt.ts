import { setTimeout as sleep } from 'node:timers/promises';
import {
  type AttemptContext,
  AttemptError,
  type AttemptRequest,
  AttemptStopped,
  JobError,
} from '@tiercel/routing';
import type { CallerNames } from './caller-names.ts';
import { ComfyRequestError } from './comfy-errors.ts';
import { writeExtraData } from './extra-data.ts';
import { isThere, rejectionError, type Note } from './pool.ts';
import type { PoolServer } from './pool-server.ts';
import { pushInputs, type InputFiles } from './push-inputs.ts';

/** Of one file, up or down: a long video on a slow line. */
export const TRANSFER_TIMEOUT_MS = 300_000;

const LOOKS = 8;
const LOOK_EVERY_MS = 500;

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
  // Noted first: whoever takes over looks the prompt up instead of sending it again.
  const note: Note = { server: server.url, id: upstreamId, clientId };
  await context.remember(JSON.stringify(note));
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

/** A server that has not answered may still be reading the prompt: it is asked for a while. */
async function hasArrived(server: PoolServer, id: string, error: unknown): Promise<boolean> {
  const isOpen =
    error instanceof ComfyRequestError && error.uncertain && error.status === undefined;
  try {
    for (let looks = isOpen ? LOOKS : 1; looks > 0; looks -= 1) {
      if (await isThere(server, id)) return true;
      if (looks > 1) await sleep(LOOK_EVERY_MS);
    }
  } catch {
    // It does not answer this either: `error` says what is wrong with it.
  }
  return false;
}
