import { Readable } from 'node:stream';
import { promptId, type PromptId } from '@tiercel/contracts';

/** A prompt on its way into the queue, as Producer.enqueue takes it; a seed in it is larger than a double holds. */
export function plainJob(id: string): {
  readonly id: PromptId;
  readonly bodyHash: string;
  readonly number: undefined;
  readonly front: boolean;
  readonly clientId: undefined;
  readonly promptText: string;
  readonly extraText: string;
  readonly outputIds: readonly string[];
  readonly nodeErrorsText: string;
  readonly workflowId: undefined;
  readonly secrets: undefined;
} {
  return {
    id: promptId(id),
    bodyHash: `hash-${id}`,
    number: undefined,
    front: false,
    clientId: undefined,
    promptText: '{"1":{"class_type":"A","inputs":{"seed":18446744073709551615}}}',
    extraText: '{}',
    outputIds: ['1'],
    nodeErrorsText: '{}',
    workflowId: undefined,
    secrets: undefined,
  };
}

/** A file in memory, to be read in parts. */
export function fileOf(bytes: Uint8Array): { sizeBytes: number; read: () => Readable } {
  return { sizeBytes: bytes.length, read: () => Readable.from([bytes]) };
}
