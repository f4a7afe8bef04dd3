import { z } from 'zod';
import { ms, serverUrl } from './value-kinds.ts';

/** One entry of `tiers`. */
export const tierSchema = z
  .strictObject({
    name: z
      .string()
      .regex(/^[\w.-]{1,64}$/, 'must be 1 to 64 letters, digits, dots, dashes or underscores')
      .describe('How reports, history and logs name the tier; no two may be the same'),
    driver: z
      .enum(['embedded', 'comfyui'])
      .describe(
        'What speaks to the backend: `embedded` runs in the worker, `comfyui` is a pool of servers',
      ),
    urls: z.array(serverUrl).default([]).describe('`comfyui`: the servers of the pool'),
    timeoutMs: ms(600_000).describe('Limit for one attempt'),
  })
  .superRefine((tier, context) => {
    const wantsServers = tier.driver === 'comfyui';
    if (wantsServers && tier.urls.length === 0) {
      context.addIssue({
        code: 'custom',
        path: ['urls'],
        message: 'must name at least one server',
      });
    }
    if (!wantsServers && tier.urls.length > 0) {
      context.addIssue({
        code: 'custom',
        path: ['urls'],
        message: `${tier.driver} takes no servers`,
      });
    }
    if (new Set(tier.urls).size < tier.urls.length) {
      context.addIssue({ code: 'custom', path: ['urls'], message: 'names a server twice' });
    }
  });
export type TierConfig = z.infer<typeof tierSchema>;
