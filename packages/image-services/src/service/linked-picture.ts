import type { IncomingMessage } from 'node:http';
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { exchangeHttp, HttpBreak, readLimited } from '@tiercel/upstream-http';
import { createGuardedLookup, isPublicAddress, RefusedAddress } from './public-address.ts';
import { badOutput, readBase64Picture, readPicture } from './read-picture.ts';

/** What was asked when an answer came that links to a picture. */
export interface LinkContext {
  /** What messages call the service. */
  readonly vendor: string;
  /** Links are relative to it, and its host is the service's own. */
  readonly asked: URL;
  /** Of `runInTime`: carries the time limit. */
  readonly signal: AbortSignal;
  /** Of the picture; default 64 MiB. */
  readonly maxBytes?: number;
}

const MAX_PICTURE_BYTES = 64 * 1024 * 1024;
/** Stores of files send a reader on once or twice. */
const MAX_REDIRECTS = 3;
const LINK = /^https?:\/\//i;

/**
 * A picture as a member of an answer holds it: in base64, as a `data:` URL, or as a link.
 * @throws AttemptError (bad_output)
 */
export async function readPictureText(text: unknown, context: LinkContext): Promise<Uint8Array> {
  const isLink = typeof text === 'string' && LINK.test(text);
  return isLink ? readLinkedPicture(text, context) : readBase64Picture(context.vendor, text);
}

/**
 * The picture that an answer links to, fetched without the key. A service may link to its own host, wherever that
 * is, and to the public internet by TLS; to nothing else in this machine's network. A redirect is a link like any
 * other.
 * @param link absolute, relative to what was asked, or a `data:` URL
 * @throws AttemptError (bad_output), also when the picture is not there: that says nothing of key or model
 */
export async function readLinkedPicture(link: string, context: LinkContext): Promise<Uint8Array> {
  const { vendor, asked } = context;
  if (/^data:/i.test(link)) return readBase64Picture(vendor, link);
  if (!URL.canParse(link, asked.href)) throw badOutput(vendor, 'a URL that cannot be read');
  const own = new OwnHost(asked);
  let url = new URL(link, asked);
  for (let hops = 0; hops <= MAX_REDIRECTS; hops += 1) {
    const answer = await fetchOnce(url, own, context);
    if (Buffer.isBuffer(answer)) return readPicture(vendor, answer);
    url = answer;
  }
  throw badOutput(vendor, 'a link that leads on and on');
}

/** The host that the tier is configured with. */
class OwnHost {
  readonly #hostname: string;
  #addresses: Promise<ReadonlySet<string>> | undefined;

  constructor({ hostname }: URL) {
    this.#hostname = bare(hostname);
  }

  has({ hostname }: URL): boolean {
    return bare(hostname) === this.#hostname;
  }

  /** What its name stands for: a service may know itself by another one, such as `localhost`. */
  addresses(): Promise<ReadonlySet<string>> {
    this.#addresses ??= lookup(this.#hostname, { all: true }).then(
      (found) => new Set(found.map(({ address }) => address)),
      () => new Set<string>(),
    );
    return this.#addresses;
  }
}

/** Without the brackets of an IPv6 address and the dot that ends a full name. */
function bare(hostname: string): string {
  return hostname.replace(/^\[|\]$|\.$/g, '').toLowerCase();
}

/** @returns the file, or where it is to be looked for */
async function fetchOnce(url: URL, own: OwnHost, context: LinkContext): Promise<Buffer | URL> {
  const { vendor, signal } = context;
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw badOutput(vendor, 'a URL that is neither http nor https');
  }
  const guard = own.has(url) ? {} : { lookup: await guardLookup(url, own, vendor) };
  signal.throwIfAborted();
  try {
    return await exchangeHttp(
      { ...{ method: 'GET', url, headers: {}, body: undefined, signal }, ...guard },
      (answer) => readAnswer(answer, url, context),
    );
  } catch (error) {
    if (!(error instanceof HttpBreak)) throw error;
    if (error.cause instanceof RefusedAddress) throw refuse(vendor, url);
    throw badOutput(vendor, 'a link to a server that does not give the picture', error);
  }
}

/** @throws AttemptError for an address, written out, that must not be asked */
async function guardLookup(
  url: URL,
  own: OwnHost,
  vendor: string,
): Promise<ReturnType<typeof createGuardedLookup>> {
  const ownAddresses = await own.addresses();
  const isSafe = url.protocol === 'https:';
  const isAllowed = (address: string): boolean =>
    ownAddresses.has(address) || (isSafe && isPublicAddress(address));
  const host = bare(url.hostname);
  // An address that is written out is never looked up.
  if (isIP(host) !== 0 && !isAllowed(host)) throw refuse(vendor, url);
  return createGuardedLookup(isAllowed);
}

function refuse(vendor: string, { protocol }: URL): Error {
  const isSafe = protocol === 'https:';
  return badOutput(
    vendor,
    `the URL of another server ${isSafe ? 'that is not public' : 'without TLS'}`,
  );
}

async function readAnswer(
  answer: IncomingMessage,
  url: URL,
  { vendor, maxBytes = MAX_PICTURE_BYTES }: LinkContext,
): Promise<Buffer | URL> {
  const { statusCode: status = 0, headers } = answer;
  const { location } = headers;
  if (status >= 300 && status < 400 && location !== undefined && URL.canParse(location, url.href)) {
    answer.destroy();
    return new URL(location, url);
  }
  if (status < 200 || status >= 300) {
    answer.destroy();
    throw badOutput(vendor, `a link to a picture that is not there (${status})`);
  }
  const bytes = await readLimited(answer, maxBytes);
  if (bytes === undefined) throw badOutput(vendor, `a link to over ${maxBytes} bytes`);
  return bytes;
}
