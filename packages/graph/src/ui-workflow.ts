import { isJsonObject, type JsonValue, type PromptRejection } from '@tiercel/contracts';
import { NO_PROMPT, reject } from './prompt-errors.ts';

const UI_WORKFLOW =
  "this is a workflow in the format of ComfyUI's editor (a list of nodes and one of links), not a prompt in " +
  'its API format; in the editor choose "Export (API)" and send that';

/** Whether it is what the editor saves, in place of what it queues: there a node is not called "nodes". */
export function isUiWorkflow(value: JsonValue | undefined): boolean {
  return isJsonObject(value) && Object.hasOwn(value, 'nodes') && Array.isArray(value.nodes);
}

/** ComfyUI answers 500 to one. */
export function rejectUiWorkflow(): PromptRejection {
  return reject('invalid_prompt', `Cannot execute because ${UI_WORKFLOW}.`, '');
}

/** What POST /prompt answers to a body without a `prompt`; says so when the body itself is one. */
export function rejectMissingPrompt(body: JsonValue): PromptRejection {
  if (isUiWorkflow(body)) return noPrompt(UI_WORKFLOW);
  const isPrompt =
    isJsonObject(body) &&
    Object.values(body).some((node) => isJsonObject(node) && Object.hasOwn(node, 'class_type'));
  return isPrompt ? noPrompt('send the nodes as the member "prompt" of an object') : NO_PROMPT;
}

function noPrompt(hint: string): PromptRejection {
  return reject(NO_PROMPT.error.type, `${NO_PROMPT.error.message}: ${hint}.`, '');
}
