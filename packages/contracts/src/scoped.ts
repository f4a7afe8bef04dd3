import { DEFAULT_TENANT } from './caller.ts';
import { keyText, promptId, type JobId, type PromptId } from './ids.ts';

/** Ends the tenant in a scoped text. No tenant's name holds it: it is not printable. */
const SEPARATOR = '\u001f';

/**
 * A caller's text (a prompt_id, a client_id) as Redis has it: names of two tenants never meet. For DEFAULT_TENANT it
 * is the text itself, as before there were others, unless the text would then read as somebody else's.
 * `lua/includes/tenants.lua` reads it too.
 */
export function scoped(tenant: string, text: string): string {
  const isPlain = tenant === DEFAULT_TENANT && !text.includes(SEPARATOR);
  return isPlain ? text : `${tenant}${SEPARATOR}${text}`;
}

/** The inverse of `scoped`. */
export function unscoped(text: string): { readonly tenant: string; readonly text: string } {
  const at = text.indexOf(SEPARATOR);
  if (at < 0) return { tenant: DEFAULT_TENANT, text };
  return { tenant: text.slice(0, at), text: text.slice(at + 1) };
}

/** What Redis knows a job by. No caller sees it. */
export function jobIdOf(tenant: string, id: string): JobId {
  return scoped(tenant, promptId(id)) as JobId;
}

/** What its caller knows a job by. */
export function promptIdOf(id: JobId): PromptId {
  return promptId(unscoped(id).text);
}

/** What Redis knows a client by: see keyText. */
export function clientKeyOf(tenant: string, clientId: string): string {
  return scoped(tenant, keyText(clientId));
}
