/** Whether a value is one of the tagged values of values.ts (or a plug-in's of that form). */
export function isPicture(value: unknown): value is { readonly kind: string } {
  return (
    typeof value === 'object' && value !== null && 'kind' in value && typeof value.kind === 'string'
  );
}

/**
 * A value as it may stand in an error report: plain values as they are (bigints included), pictures and
 * the like as a short text, never their samples.
 */
export function describeValue(value: unknown): string | number | bigint | boolean | null {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string' || typeof value === 'boolean' || typeof value === 'bigint')
    return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (!isPicture(value)) return `<${typeof value}>`;
  const size =
    'width' in value && 'height' in value ? ` ${String(value.width)}x${String(value.height)}` : '';
  const count = 'frames' in value && Array.isArray(value.frames) ? ` x${value.frames.length}` : '';
  return `<${value.kind}${size}${count}>`;
}
