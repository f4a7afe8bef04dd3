import { AppError, type GivenWebhook } from '@tiercel/contracts';
import { openSecrets, sealSecrets } from '@tiercel/runtime';
import { z } from 'zod';
import type { AddressGuard } from './address-guard.ts';
import { DEFAULT_SECRET, toWordList, unknownSecret, type WebhookStore } from './webhook-store.ts';

/** @throws AppError webhook_invalid for an address in a private network that `webhooks.allow` does not name */
export function checkReceiver(url: string, guard: AddressGuard, where: string): void {
  if (!guard.isRefusedAtOnce(new URL(url).hostname)) return;
  throw new AppError(
    'webhook_invalid',
    `${where}.url names an address in a private network, and webhooks.allow of the configuration does not name it.`,
  );
}

const jobHookSchema = z.object({ url: z.string(), secretRef: z.string() });
/** A job's own webhook, as its record keeps it sealed. */
export type JobHook = Readonly<z.infer<typeof jobHookSchema>>;

/**
 * Makes what a job's record keeps of its webhook.
 * @throws AppError webhook_invalid
 */
export async function acceptJobWebhook(
  given: GivenWebhook,
  tenant: string,
  { store, guard, secretKey }: { store: WebhookStore; guard: AddressGuard; secretKey: Uint8Array },
): Promise<{ readonly sealed: string; readonly events: string }> {
  checkReceiver(given.url, guard, 'extra_data.webhook');
  const { secretRef = DEFAULT_SECRET, url, events } = given;
  if (given.secretRef === undefined) await store.ensureDefaultSecret(tenant);
  else if (!(await store.hasSecret(tenant, secretRef))) throw unknownSecret(secretRef);
  const hook: JobHook = { url, secretRef };
  return { sealed: sealSecrets(secretKey, JSON.stringify(hook)), events: toWordList(events) };
}

/** @returns undefined when it cannot be opened: it was sealed with the key of another data folder */
export function openJobHook(secretKey: Uint8Array, sealed: string): JobHook | undefined {
  try {
    return jobHookSchema.parse(JSON.parse(openSecrets(secretKey, sealed)));
  } catch {
    return undefined;
  }
}
