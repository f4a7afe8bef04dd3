import type { InputSpec, JsonValue } from '@tiercel/contracts';
import { isList } from './python-text.ts';

/**
 * Marks a list of model files that is only a help: no tier loads the file, so any name is a choice. A member
 * of the input's options in /object_info, so that whoever reads the catalogue knows it too.
 */
const ANY_FILE = 'tiercel_any_file';

/** What a combo offers, in its old form (`[[choices], options]`) or its new one; else undefined. */
export function choicesOf(spec: InputSpec): readonly JsonValue[] | undefined {
  const [type, options] = spec;
  if (typeof type !== 'string') return type;
  const choices = type === 'COMBO' ? options?.options : undefined;
  return isList(choices) ? choices : undefined;
}

/** The same combo, in the same form, with other choices. */
export function withChoices(spec: InputSpec, choices: readonly JsonValue[]): InputSpec {
  const [type, options] = spec;
  if (typeof type === 'string') return [type, { ...options, options: choices }];
  return options === undefined ? [choices] : [choices, options];
}

/** Whether the combo takes any name, listed or not. */
export function takesAnyFile(spec: InputSpec): boolean {
  return spec[1]?.[ANY_FILE] === true;
}

/** The same combo, its list being only a help. */
export function withAnyFile(spec: InputSpec): InputSpec {
  return [spec[0], { ...spec[1], [ANY_FILE]: true }];
}
