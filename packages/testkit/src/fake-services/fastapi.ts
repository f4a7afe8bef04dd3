import { isJsonObject, type JsonValue } from '@tiercel/contracts';
import { json, type Answer } from '../fake-comfyui/answer.ts';

/** One entry of the list in a 422 of FastAPI. */
export interface FieldFault {
  readonly loc: readonly string[];
  readonly msg: string;
  readonly type: string;
}

/** How FastAPI tells every refusal; a 422 has a list of faults, the others a text. */
export function fastApiError(status: number, detail: string | readonly FieldFault[]): Answer {
  return json({ detail }, status);
}

export function missingField(name: string): FieldFault {
  return { loc: ['body', name], msg: 'field required', type: 'value_error.missing' };
}

export function wrongType(name: string, kind: FieldKind): FieldFault {
  return { loc: ['body', name], msg: `value is not a valid ${kind}`, type: `type_error.${kind}` };
}

export function tooLong(name: string, maxLength: number): FieldFault {
  const msg = `ensure this value has at most ${maxLength} characters`;
  return { loc: ['body', name], msg, type: 'value_error.any_str.max_length' };
}

export type FieldKind = 'integer' | 'float' | 'list' | 'dict' | 'str' | 'bool';

export function isOfKind(kind: FieldKind, value: JsonValue): boolean {
  switch (kind) {
    case 'integer':
      return typeof value === 'bigint' || Number.isInteger(value);
    case 'float':
      return typeof value === 'number' || typeof value === 'bigint';
    case 'list':
      return Array.isArray(value);
    case 'dict':
      return isJsonObject(value);
    case 'str':
      return typeof value === 'string';
    case 'bool':
      return typeof value === 'boolean';
  }
}
