import type { InputSpec, JsonValue } from '@tiercel/contracts';

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

function isList(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value);
}
