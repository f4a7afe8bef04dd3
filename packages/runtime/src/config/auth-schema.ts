import { isIP } from 'node:net';
import { z } from 'zod';
import { findHeaderProblem, printableText, serverUrl } from './address-kinds.ts';
import { count, HOUR_MS, ms, shortName } from './value-kinds.ts';

const claim = (name: string, meaning: string) =>
  printableText
    .default(name)
    .describe(`Claim of a token that holds ${meaning}; \`a.b\` is member \`b\` of claim \`a\``);

const jwtSchema = z
  .strictObject({
    issuer: printableText.describe('`iss` that tokens must have: the OpenID provider'),
    audience: z
      .union([printableText, z.array(printableText).min(1)], {
        error: 'must be a text, or a list of texts',
      })
      .describe('`aud` that tokens must have, or a list of which they must have one'),
    jwksUrl: serverUrl.describe('Where the provider serves the keys that it signs with (JWKS)'),
    claims: z
      .strictObject({
        tenant: claim('sub', 'the tenant'),
        plan: claim('plan', 'the plan'),
        role: claim('role', 'the role, or a list with it'),
      })
      .prefault({}),
    defaultPlan: shortName.default('free').describe('Plan of tokens that name none'),
  })
  .optional();

/** Who may use the API, and how he shows it. */
export const authSchema = z
  .strictObject({
    mode: z
      .enum(['open', 'optional', 'required'])
      .default('open')
      .describe(
        'Who may use the API: `open`, everybody who can reach it, as one tenant; `optional`, everybody, with a key as its tenant and without one as an anonymous tenant by address; `required`, who has a key or a token',
      ),
    adminKey: z
      .string()
      .superRefine((key, context) => {
        const problem = key === '' ? 'must not be empty' : findHeaderProblem(key);
        if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
      })
      .optional()
      .describe(
        'A key with role `admin` that is not made by `npm run keys`. Best long, random, and as `${NAME}` from the environment',
      ),
    jwt: jwtSchema,
    jwksCooldownMs: ms(5_000, HOUR_MS).describe(
      'Shortest time between two readings of the provider’s keys, when a token names one that is not known',
    ),
    allowOpenNetwork: z
      .boolean()
      .default(false)
      .describe(
        'Says that `mode: open` is meant with a `HOST` that other machines reach; else that start is refused',
      ),
    auditMaxEntries: count(10_000).describe('Changes by administrators that are kept on record'),
  })
  .prefault({});

const NAMED_RANGES = ['loopback', 'linklocal', 'uniquelocal'];

/** Which peers may say for whom they ask. */
export const trustedProxiesSchema = z
  .array(
    z
      .string()
      .refine(
        isAddressRange,
        `must be an IP address, a range such as 10.0.0.0/8, but not all of them (/0), or ${NAMED_RANGES.join(', ')}`,
      ),
  )
  .default([])
  .describe(
    'Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` count: addresses, ranges such as `10.0.0.0/8`, `loopback`, `linklocal`, `uniquelocal`. Those headers of anybody else say nothing',
  );

/** Not /0: whoever trusts everybody lets everybody name his own address. */
function isAddressRange(text: string): boolean {
  if (NAMED_RANGES.includes(text)) return true;
  const [address = '', prefix, ...rest] = text.split('/');
  const bits = { 0: 0, 4: 32, 6: 128 }[isIP(address)] ?? 0;
  if (bits === 0 || rest.length > 0) return false;
  if (prefix === undefined) return true;
  return /^\d{1,3}$/.test(prefix) && Number(prefix) >= 1 && Number(prefix) <= bits;
}
