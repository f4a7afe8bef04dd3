import { isJsonObject, parseJson } from '@tiercel/contracts';

/** A tier's resume token for a job, as the record keeps it. */
export function writeResumeToken(tier: string, resumeToken: string): string {
  return JSON.stringify({ tier, note: resumeToken });
}

/** Which tier saved what; a token of another form is nobody's. */
export function readResumeToken(
  text: string | undefined,
): { tier: string; resumeToken: string } | undefined {
  if (text === undefined) return undefined;
  try {
    const saved = parseJson(text);
    if (!isJsonObject(saved)) return undefined;
    const { tier, note: resumeToken } = saved;
    return typeof tier === 'string' && typeof resumeToken === 'string'
      ? { tier, resumeToken }
      : undefined;
  } catch {
    return undefined;
  }
}
