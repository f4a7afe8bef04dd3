import { AppError, isJsonObject, sliceMembers, stringifyJson } from '@tiercel/contracts';
import { convertLive, findWorkflow, type ConversionRules } from './convert-posted.ts';
import type { LongText } from './long-text.ts';
import { parseBody } from './parse-body.ts';
import { readPostedText, type Posted } from './read-posted.ts';

/** What POST /api/workflows/convert answers. */
export interface ExaminedWorkflow {
  readonly status: 200 | 400;
  readonly answerText: LongText;
}

/**
 * Converts what the editor has saved, or what a file holds, into a prompt.
 * @throws AppError bad_json, bad_request, body_too_large
 */
export async function examineWorkflow(
  posted: Posted,
  rules: ConversionRules & { readonly maxValues: number },
): Promise<ExaminedWorkflow> {
  const text = readPostedText(posted, rules.maxValues);
  const body = parseBody(text, rules.maxValues);
  const workflow = findWorkflow(body);
  if (workflow === undefined) {
    const prompt = isJsonObject(body) ? sliceMembers(text).get('prompt') : undefined;
    // A file may hold the prompt alone.
    if (prompt !== undefined) return { status: 200, answerText: `{"prompt":${prompt}}` };
    throw new AppError(
      'bad_request',
      "The body must be a workflow as ComfyUI's editor saves it: an object with a list of nodes.",
    );
  }
  const result = await convertLive(workflow, rules);
  return result.ok
    ? { status: 200, answerText: stringifyJson({ prompt: result.prompt }) }
    : { status: 400, answerText: stringifyJson(result.rejection) };
}
