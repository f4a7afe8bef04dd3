import { isJsonObject, parseJson } from '@tiercel/contracts';

/** A tier's note on a job, as the record keeps it. */
export function writeNote(tier: string, note: string): string {
  return JSON.stringify({ tier, note });
}

/** Which tier noted what; a note of another form is nobody's. */
export function readNote(text: string | undefined): { tier: string; note: string } | undefined {
  if (text === undefined) return undefined;
  try {
    const noted = parseJson(text);
    if (!isJsonObject(noted)) return undefined;
    const { tier, note } = noted;
    return typeof tier === 'string' && typeof note === 'string' ? { tier, note } : undefined;
  } catch {
    return undefined;
  }
}
