import { AppError, JsonTooLargeError, parseJson, type JsonValue } from '@tiercel/contracts';

const decoder = new TextDecoder('utf-8', { fatal: true });

/** @throws AppError bad_json */
export function decodeBody(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new AppError('bad_json', 'The body is not valid UTF-8.', { cause });
  }
}

/** @throws AppError bad_json, body_too_large */
export function parseBody(text: string, maxValues = Infinity): JsonValue {
  try {
    return parseJson(text, { maxValues });
  } catch (cause) {
    if (cause instanceof JsonTooLargeError) {
      throw new AppError('body_too_large', `The body has more than ${maxValues} JSON values.`);
    }
    const why = cause instanceof Error ? cause.message : 'unreadable';
    throw new AppError('bad_json', `The body is not valid JSON: ${why}`, { cause });
  }
}
