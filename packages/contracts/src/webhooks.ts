import { AppError } from './errors.ts';
import { isJsonObject, type JsonValue } from './json.ts';

/** What a webhook may be told of a job, in the order in which it may happen. */
export const WEBHOOK_EVENTS = [
  'queued',
  'started',
  'progress',
  'degraded',
  'completed',
  'failed',
  'interrupted',
] as const;
export type WebhookEvent = (typeof WEBHOOK_EVENTS)[number];

export function isWebhookEvent(text: unknown): text is WebhookEvent {
  return WEBHOOK_EVENTS.some((event) => event === text);
}

/** The `type` of a webhook's body. */
export function webhookType(event: WebhookEvent): string {
  return `job.${event}`;
}

const MAX_URL_LENGTH = 2_048;
const NAME = /^[\w.-]{1,64}$/;

/** What a caller says of a webhook, in extra_data.webhook or to POST /api/webhooks. */
export interface GivenWebhook {
  readonly url: string;
  readonly events: readonly WebhookEvent[];
  readonly secretRef: string | undefined;
}

/**
 * Reads what a caller says of a webhook.
 * @param where what it is called in errors: `extra_data.webhook`
 * @throws AppError webhook_invalid, saying what to change; never with the address, which may hold credentials
 */
export function readWebhook(value: JsonValue, where: string): GivenWebhook {
  const refuse = (problem: string): never => {
    throw new AppError('webhook_invalid', `${where}${problem}`);
  };
  if (!isJsonObject(value)) return refuse(' must be an object with a url.');
  const { url, events, secret_ref: secretRef, ...others } = value;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) {
    return refuse(
      ` may have url, events and secret_ref, not ${JSON.stringify(unknown.slice(0, 64))}.`,
    );
  }
  const hasSecret = secretRef !== undefined && secretRef !== null;
  if (hasSecret && (typeof secretRef !== 'string' || !NAME.test(secretRef))) {
    return refuse(
      '.secret_ref must be the name of a secret: 1 to 64 letters, digits, dots, dashes or underscores.',
    );
  }
  return {
    url: readUrl(url, refuse),
    events: readEvents(events, refuse),
    secretRef: hasSecret ? secretRef : undefined,
  };
}

function readUrl(url: JsonValue | undefined, refuse: (problem: string) => never): string {
  if (typeof url !== 'string' || url === '')
    return refuse('.url must be an http:// or https:// URL.');
  if (url.length > MAX_URL_LENGTH) {
    return refuse(`.url is longer than ${MAX_URL_LENGTH} characters.`);
  }
  if (!/^https?:\/\//i.test(url) || !URL.canParse(url)) {
    return refuse('.url must be an http:// or https:// URL.');
  }
  const { hostname, port, username, password } = new URL(url);
  if (hostname === '' || port === '0')
    return refuse('.url must name a host and a port that can be reached.');
  try {
    decodeURIComponent(username + password);
  } catch {
    return refuse('.url has a % in its user or password that begins no escape: write it as %25.');
  }
  return new URL(url).href.replace(/#.*$/, '');
}

function readEvents(
  events: JsonValue | undefined,
  refuse: (problem: string) => never,
): WebhookEvent[] {
  if (events === undefined || events === null) return [...WEBHOOK_EVENTS];
  const words = WEBHOOK_EVENTS.join(', ');
  if (!Array.isArray(events) || events.length === 0) {
    return refuse(`.events must be a list of: ${words}.`);
  }
  const wanted = new Set(
    events.map((event: JsonValue) => {
      const word = typeof event === 'string' ? event.replace(/^job\./, '') : undefined;
      return isWebhookEvent(word) ? word : refuse(`.events may hold: ${words}.`);
    }),
  );
  return WEBHOOK_EVENTS.filter((event) => wanted.has(event));
}

/** What history shows of a job's webhook: an address may hold credentials anywhere behind its origin. */
export function hideWebhook({ url, events, secretRef }: GivenWebhook): object {
  return {
    url: new URL(url).origin,
    events,
    ...(secretRef === undefined ? {} : { secret_ref: secretRef }),
  };
}

/** What the outbox says happened. */
export interface OutboxEntry {
  /** Of the stream: `<epoch ms>-<count>`. */
  readonly entryId: string;
  readonly tenant: string;
  readonly jobId: string;
  readonly event: WebhookEvent;
  readonly frame: string;
  /** The job's own webhook, sealed. */
  readonly hook: string;
  /** Whether that one wants the event. */
  readonly isOwn: boolean;
}

/** Reads an entry; the inverse of what note-webhook.lua writes. */
export function parseOutboxEntry([entryId, fields]: readonly [
  string,
  readonly string[],
]): OutboxEntry {
  const values = new Map<string, string>();
  for (let at = 1; at < fields.length; at += 2) values.set(fields[at - 1] ?? '', fields[at] ?? '');
  const get = (name: string): string => values.get(name) ?? '';
  return {
    entryId,
    tenant: get('tenant'),
    jobId: get('job'),
    event: get('event') as WebhookEvent, // as note-webhook.lua was called
    frame: get('frame'),
    hook: get('hook'),
    isOwn: get('own') === '1',
  };
}
