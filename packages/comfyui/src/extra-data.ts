import { joinMembers, sliceMembers } from '@tiercel/contracts';
import type { AttemptRequest } from '@tiercel/routing';

/** What Tiercel reads itself (`fallback`, `cache`), and whose frames a prompt's are: for the server that is us. */
const OWN_MEMBERS = ['fallback', 'cache', 'client_id'];

/**
 * extra_data for a server: all that the caller sent, in the caller's own text, because nodes and extensions read
 * members that nobody here knows (`preview_method`, `comfy_usage_source`, ...), and the credentials that came
 * with it.
 */
export function writeExtraData({
  extraDataText,
  secretsText,
}: Pick<AttemptRequest, 'extraDataText' | 'secretsText'>): string {
  const members = new Map([...sliceMembers(extraDataText), ...sliceMembers(secretsText ?? '{}')]);
  for (const name of OWN_MEMBERS) members.delete(name);
  return joinMembers(members);
}
