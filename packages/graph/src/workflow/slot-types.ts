import type { InputSpec, JsonValue } from '@tiercel/contracts';
import { specOptions } from '../input-specs.ts';

/** The type of the slot that the editor gives to an input: a list of choices is a combo. */
export function slotType(spec: InputSpec): string {
  const [type] = spec;
  if (typeof type !== 'string') return 'COMBO';
  if (type !== 'COMFY_MATCHTYPE_V3') return type;
  const { template } = specOptions(spec);
  // A template is an object or it is not; either way what is no text allows anything.
  const allowed = (template as { allowed_types?: unknown } | undefined)?.allowed_types;
  return typeof allowed === 'string' ? allowed : '*';
}

/** The type of an output; those that follow an input fit anything. */
export function outputType(type: JsonValue | undefined): string {
  if (Array.isArray(type)) return 'COMBO';
  return typeof type === 'string' && type !== 'COMFY_MATCHTYPE_V3' ? type : '*';
}

/** Whether a link may go from one to the other: names without case, `*` for any, several with commas. */
export function fits(one: string, other: string): boolean {
  const [a, b] = [one.toLowerCase(), other.toLowerCase()];
  if (a === b || isAny(a) || isAny(b)) return true;
  if (!a.includes(',') && !b.includes(',')) return false;
  const names = new Set(b.split(','));
  return a.split(',').some((name) => names.has(name));
}

function isAny(type: string): boolean {
  return type === '*' || type === '';
}
