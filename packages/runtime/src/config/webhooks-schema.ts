import { BlockList, isIP } from 'node:net';
import { z } from 'zod';
import { bytes, count, DAY_MS, HOUR_MS, MIB, MINUTE_MS, ms } from './value-kinds.ts';

/** A name, an address, or a range of addresses. */
const allowedReceiver = z
  .string()
  .refine(
    (text) => isIP(text) !== 0 || isRange(text) || /^(?=.*[a-z])[\w-]+(\.[\w-]+)*\.?$/i.test(text),
    'must be a host name, an IP address, or a range such as 10.0.0.0/8, without scheme and port',
  );

function isRange(text: string): boolean {
  const [address = '', bits = '', ...rest] = text.split('/');
  if (rest.length > 0 || !/^\d{1,3}$/.test(bits)) return false;
  try {
    new BlockList().addSubnet(address, Number(bits), isIP(address) === 6 ? 'ipv6' : 'ipv4');
    return true;
  } catch {
    return false;
  }
}

export const webhooksSchema = z
  .strictObject({
    allow: z
      .array(allowedReceiver)
      .default([])
      .describe(
        'Receivers in private networks that webhooks may reach all the same: host names, addresses, ranges (`10.0.0.0/8`); all others in loopback, private, link-local and similar ranges are refused',
      ),
    connectTimeoutMs: ms(5_000, MINUTE_MS).describe('Limit for reaching a receiver'),
    timeoutMs: ms(15_000, 10 * MINUTE_MS).describe(
      'Limit for one delivery, from looking up its name to the end of the answer; progress has at most 2 s',
    ),
    retryFirstMs: ms(5_000, HOUR_MS).describe(
      'Pause after the first failed delivery; it doubles with each further one',
    ),
    retryMaxMs: ms(4 * HOUR_MS, DAY_MS).describe('Longest pause between two tries'),
    retryForMs: ms(DAY_MS, 30 * DAY_MS).describe(
      'How long a delivery is tried; then it is a dead letter',
    ),
    concurrency: count(128).describe('Deliveries under way at once, per worker process'),
    perTenant: count(8).describe('Deliveries under way at once for one tenant, in all workers'),
    perReceiver: count(4).describe(
      'Deliveries under way at once to one receiver; one that has failed last, or is new, gets one',
    ),
    maxBodyBytes: z
      .number()
      .int()
      .min(1_024)
      .max(1 * MIB)
      .default(256 * 1024)
      .describe('Largest body of a delivery; events over it are cut (`tiercel_cut`)'),
    maxEndpoints: count(20).describe('Webhooks, and signing secrets, that one tenant may have'),
    secretOverlapMs: ms(DAY_MS, 30 * DAY_MS).describe(
      'How long a secret that was replaced signs beside the new one',
    ),
    maxWaiting: count(10_000).describe(
      'Deliveries of one tenant that may wait; one more is a dead letter at once, and progress is dropped',
    ),
    logItems: count(1_000).describe(
      'Settled deliveries, and dead letters, that are kept of one tenant; the oldest go first',
    ),
    logBytes: bytes(32 * MIB).describe('Bytes of deliveries that are kept of one tenant'),
    logTotalItems: count(100_000).describe('Settled deliveries and dead letters of all tenants'),
    logTotalBytes: bytes(512 * MIB).describe('Bytes of deliveries of all tenants'),
    logForMs: ms(30 * DAY_MS, 365 * DAY_MS).describe(
      'How long settled deliveries and dead letters are kept',
    ),
  })
  .prefault({});
export type WebhooksConfig = z.infer<typeof webhooksSchema>;
