import type { IncomingHttpHeaders } from 'node:http';
import { isJsonObject, parseJson, type JsonValue } from '@tiercel/contracts';
import type { Answer } from '../fake-comfyui/answer.ts';
import type { FakeFaultName, Refusal } from './faults.ts';
import type { PictureRequest } from './pictures.ts';

export interface WireFile {
  /** Name of the form's field. */
  readonly field: string;
  readonly name: string;
  readonly type: string;
  readonly bytes: Buffer;
}

/** A request as a vendor's handler sees it, and as it is recorded. */
export interface WireRequest {
  readonly method: string;
  /** Still encoded, without the query. */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: IncomingHttpHeaders;
  /** JSON, or the text fields of a form (a repeated one is a list); undefined: none, or unreadable. */
  readonly body: JsonValue | undefined;
  /** Of a form. */
  readonly files: readonly WireFile[];
}

/** What the service gives a vendor's handler to make pictures with; faults of pictures are in it. */
export interface Work {
  /** The fault that this request meets. */
  readonly fault: FakeFaultName | undefined;
  /** How long making takes, `slow` included. */
  readonly renderMs: number;
  /** Aborted when the client has gone. */
  readonly signal: AbortSignal;
  /** Waits `renderMs`. @throws AbortError when the client goes meanwhile */
  render(): Promise<void>;
  readonly paint: (picture: PictureRequest) => Buffer;
  readonly paintBlack: (picture: PictureRequest) => Buffer;
  /** How many pictures an answer holds that should hold `count`. */
  count(count: number): number;
}

/** One vendor's wire. */
export interface FakeVendor {
  readonly name: string;
  /** Only requests for pictures meet faults and are counted. */
  isPictureRequest(request: WireRequest): boolean;
  answer(request: WireRequest, work: Work): Answer | Promise<Answer>;
  /** That trouble in the vendor's words; undefined where `answer` tells it (see `work.fault`). */
  refuse(refusal: Refusal, request: WireRequest): Answer | undefined;
}

/** @param target path and query as they came */
export async function readWireRequest(
  method: string,
  target: string,
  headers: IncomingHttpHeaders,
  bytes: Buffer,
): Promise<WireRequest> {
  const [path = '/', search = ''] = target.split(/\?(.*)/s);
  const query = Object.fromEntries(new URLSearchParams(search));
  const type = headers['content-type'] ?? '';
  const parsed = type.startsWith('multipart/form-data')
    ? await readForm(type, bytes)
    : { body: readJson(bytes), files: [] };
  return { method, path, query, headers, ...parsed };
}

function readJson(bytes: Buffer): JsonValue | undefined {
  try {
    return parseJson(bytes.toString());
  } catch {
    return undefined;
  }
}

async function readForm(type: string, bytes: Buffer): Promise<Pick<WireRequest, 'body' | 'files'>> {
  const files: WireFile[] = [];
  const fields: Record<string, string | string[]> = {};
  try {
    const headers = { 'content-type': type };
    const response = new Response(new Uint8Array(bytes), { headers });
    // Node deprecates it for servers that strangers can reach: it keeps the whole form in memory.
    // eslint-disable-next-line @typescript-eslint/no-deprecated
    const form = await response.formData();
    for (const [field, value] of form) {
      if (typeof value === 'string') {
        const before = fields[field];
        fields[field] = before === undefined ? value : [before, value].flat();
      } else {
        const content = Buffer.from(await value.arrayBuffer());
        files.push({ field, name: value.name, type: value.type, bytes: content });
      }
    }
    return { body: fields, files };
  } catch {
    return { body: undefined, files: [] };
  }
}

/** Whether the request names a seed, in its JSON or its query. */
export function hasSeed({ body, query }: WireRequest): boolean {
  return fieldsOf(body).seed !== undefined || query.seed !== undefined;
}

/** The members of a JSON object; of anything else none. */
export function fieldsOf(
  body: JsonValue | undefined,
): Readonly<Record<string, JsonValue | undefined>> {
  return body !== undefined && isJsonObject(body) ? body : {};
}

/** The token of `Authorization: Bearer`; undefined: there is none. */
export function bearerOf({ headers }: WireRequest): string | undefined {
  return /^Bearer (\S+)$/.exec(headers.authorization ?? '')?.[1];
}

/** A string; of anything else the empty one. */
export function textOf(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : '';
}
