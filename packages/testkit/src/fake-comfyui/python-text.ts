import { pythonFloat, type JsonValue } from '@tiercel/contracts';

/** Python's `repr`, as ComfyUI puts values into its messages. */
export function repr(value: JsonValue): string {
  return typeof value === 'string' ? `'${value.replaceAll("'", "\\'")}'` : str(value);
}

/** Python's `str`: no quotes around a string. */
export function str(value: JsonValue): string {
  if (value === null) return 'None';
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'number' && !Number.isSafeInteger(value)) return pythonFloat(value);
  if (Array.isArray(value)) return `[${value.map((item: JsonValue) => repr(item)).join(', ')}]`;
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
