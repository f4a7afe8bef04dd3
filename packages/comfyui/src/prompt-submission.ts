/** A prompt to be posted; the JSON in it stays text, so that 64-bit numbers survive. */
export interface PromptSubmission {
  readonly promptText: string;
  /** A canonical lowercase UUID: newer versions refuse anything else. */
  readonly promptId: string;
  readonly clientId: string;
  /** `extra_data` as JSON text. */
  readonly extraDataText?: string;
  /** The output nodes to run; all when absent. */
  readonly outputIds?: readonly string[];
}

/** The body of POST /prompt. */
export function writeSubmission(prompt: PromptSubmission): string {
  const { promptText, promptId, clientId, extraDataText, outputIds } = prompt;
  const ids = `"prompt_id":${JSON.stringify(promptId)},"client_id":${JSON.stringify(clientId)}`;
  const extra = extraDataText === undefined ? '' : `,"extra_data":${extraDataText}`;
  const targets =
    outputIds === undefined ? '' : `,"partial_execution_targets":${JSON.stringify(outputIds)}`;
  return `{"prompt":${promptText},${ids}${extra}${targets}}`;
}
