import { promptId } from '@tiercel/contracts';
import type { NewJob } from '@tiercel/queue';
import { promptBody } from './prompts.ts';

/** A job as the API hands it to the queue. */
export function pendingJob(
  index: number,
  tenant?: NewJob['tenant'],
  cost?: NewJob['cost'],
): NewJob {
  const { prompt } = JSON.parse(promptBody('SaveImage', index)) as { prompt: unknown };
  return {
    id: promptId(`00000000-0000-4000-8000-${String(index).padStart(12, '0')}`),
    bodyHash: `hash-${index}`,
    number: undefined,
    front: false,
    clientId: undefined,
    promptText: JSON.stringify(prompt),
    extraText: '{}',
    outputIds: ['2'],
    nodeErrorsText: '{}',
    workflowId: undefined,
    secrets: undefined,
    ...(tenant === undefined ? {} : { tenant }),
    ...(cost === undefined ? {} : { cost }),
  };
}
