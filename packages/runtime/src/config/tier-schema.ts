import { z } from 'zod';
import { findQueryProblem, normalizeUrl, printableText, serverUrl } from './address-kinds.ts';
import { findKeyProblem, findTierProblems, TIER_DRIVERS } from './tier-rules.ts';
import { duration, LONGEST_JOB_MS, shortName } from './value-kinds.ts';

const amount = () => z.number().min(0).max(1_000_000).optional();

const priceSchema = z.strictObject({
  perImage: amount().describe(
    'What a picture of this tier costs, in any currency: that of `budget`',
  ),
  perMegapixel: amount().describe('What a million pixels cost'),
  perSecond: amount().describe('What a second of an attempt costs, also of one that fails'),
});

/** One entry of `tiers`. */
export const tierSchema = z
  .strictObject({
    name: shortName.describe('How reports, history and logs name the tier; no two may be the same'),
    driver: z
      .enum(TIER_DRIVERS)
      .describe(
        'What speaks to the backend: an image service, `comfyui` (a pool of servers), or `embedded` (in the worker)',
      ),
    url: serverUrl
      .optional()
      .describe(
        '`openai`, `cloudflare`, `pollinations`: another address than the vendor’s; `automatic1111`: the server',
      ),
    urls: z.array(serverUrl).default([]).describe('`comfyui`, `turbo`: the servers of the pool'),
    apiKey: z
      .string()
      .min(1)
      .optional()
      .describe(
        '`openai`, `cloudflare`, `pollinations`: the key; `automatic1111`: `user:password`. Best as `${NAME}` from the environment',
      ),
    accountId: printableText.optional().describe('`cloudflare`: the account'),
    model: printableText
      .optional()
      .describe('`openai`, `cloudflare`, `pollinations`, `turbo`; `automatic1111`: the checkpoint'),
    timeoutMs: duration(LONGEST_JOB_MS)
      .optional()
      .describe(
        'Limit for one attempt; without it 60000 for image services, 600000 for `comfyui` and `embedded`',
      ),
    concurrency: z
      .number()
      .int()
      .positive()
      .optional()
      .describe(
        'Attempts at once on this tier, across all workers; without it 1 for `automatic1111`, else no limit',
      ),
    quality: shortName
      .optional()
      .describe(
        'Tiers with the same word are equally good: one in place of another is not degraded',
      ),
    hedge: z
      .boolean()
      .default(false)
      .describe(
        'Start a second attempt on the next tier when this one takes longer than 95 of 100 recent attempts',
      ),
    price: priceSchema.optional(),
    checkpoints: z
      .array(z.string().min(1))
      .default([])
      .describe(
        'Image services: checkpoint names that prompts may use for this tier, offered in /object_info; without it any known one',
      ),
  })
  .superRefine((tier, context) => {
    for (const { field, message } of findTierProblems(tier)) {
      context.addIssue({ code: 'custom', path: [field], message });
    }
    if (new Set(tier.urls.map(normalizeUrl)).size < tier.urls.length) {
      context.addIssue({ code: 'custom', path: ['urls'], message: 'names a server twice' });
    }
    const keyProblem = findKeyProblem(tier);
    if (keyProblem !== undefined) {
      context.addIssue({ code: 'custom', path: ['apiKey'], message: keyProblem });
    }
    for (const [index, url] of tier.driver === 'comfyui' ? tier.urls.entries() : []) {
      const message = findQueryProblem(url);
      if (message !== undefined) {
        context.addIssue({ code: 'custom', path: ['urls', index], message });
      }
    }
  });
export type TierConfig = z.infer<typeof tierSchema>;
