import { type JsonValue, parseJson } from '@tiercel/contracts';

/** A string, or one of the words that Python writes for numbers JSON does not have. */
const STRING_OR_WORD = /"(?:[^"\\]|\\.)*"|-?Infinity|NaN/g;
const HAS_WORD = /NaN|Infinity/;

/** JSON and the text it was read from. */
export interface ReadJson {
  readonly value: JsonValue;
  /** Valid JSON with every digit kept: as it came, or with Python's words replaced by null. */
  readonly text: string;
}

/**
 * Reads what Python's json module wrote, which may hold NaN and Infinity (nodes of ComfyUI do that in
 * history and in their options). They become null, as ComfyUI's own frontend takes them.
 * @throws SyntaxError on anything else that is not JSON; see parseJson
 */
export function readPythonJson(text: string): ReadJson {
  try {
    return { value: parseJson(text), text };
  } catch (error) {
    if (!HAS_WORD.test(text)) throw error;
    const repaired = text.replace(STRING_OR_WORD, (found) =>
      found.startsWith('"') ? found : 'null',
    );
    return { value: parseJson(repaired), text: repaired };
  }
}
