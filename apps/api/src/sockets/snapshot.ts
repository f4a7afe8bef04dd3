import {
  encodeClient,
  frameText,
  isJsonObject,
  parseJson,
  stringifyJson,
} from '@tiercel/contracts';
import type { EventReplay, PresentState } from '@tiercel/events';
import type { JobRecord, Reader } from '@tiercel/queue';
import { isEnded } from '../history-item.ts';

/** What a socket is told when its client comes back. */
export interface Snapshot {
  /** Where each running job of the client is. */
  readonly running: readonly { readonly promptId: string; readonly state: PresentState }[];
  /** Jobs whose end no socket of the client has been sent, oldest first. */
  readonly ended: readonly { readonly promptId: string; readonly frames: readonly string[] }[];
}

export async function readSnapshot(
  clientId: string,
  reader: Reader,
  replay: EventReplay,
): Promise<Snapshot> {
  const [runningIds, missedIds] = await Promise.all([
    reader.listRunningOf(encodeClient(clientId)),
    replay.listMissed(clientId),
  ]);
  const [running, missed] = await Promise.all([
    Promise.all(
      runningIds.map(async (promptId) => ({
        promptId,
        state: await replay.readPresentState(promptId),
      })),
    ),
    reader.readRecords(missedIds),
  ]);
  // History was deleted meanwhile: there is nothing to tell, and nothing to keep.
  const known = new Set(missed.map((job) => job.id));
  await replay.acknowledge(
    clientId,
    missedIds.filter((id) => !known.has(id)),
  );
  const ended = missed.filter(isEnded).map((job) => ({
    promptId: job.id,
    frames: terminalFrames(job),
  }));
  return { running, ended };
}

/** `executed` for each output node, the terminal event, and the final `executing`. */
function terminalFrames(job: JobRecord): string[] {
  const outputs = parseJson(job.outputsText);
  const executed = Object.entries(isJsonObject(outputs) ? outputs : {}).map(([node, output]) =>
    frameText('executed', { node, display_node: node, output, prompt_id: job.id }, stringifyJson),
  );
  const messages = parseJson(job.messagesText) as [string, unknown][];
  const last = messages.at(-1);
  const terminal = last === undefined ? [] : [frameText(last[0], last[1], stringifyJson)];
  const idle = frameText('executing', { node: null, prompt_id: job.id }, stringifyJson);
  return [...executed, ...terminal, idle];
}
