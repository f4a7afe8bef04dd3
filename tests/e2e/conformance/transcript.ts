import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseJson, type JsonObject, type JsonValue } from '@tiercel/contracts';

interface RecordedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** A string was sent as it is (or describes a multipart form); anything else as JSON. */
  readonly body?: JsonValue;
}

export interface RecordedResponse {
  readonly status: number;
  readonly headers: JsonObject;
  readonly json?: JsonValue;
  readonly text?: string;
  readonly image?: JsonObject;
  readonly png_text?: JsonObject;
}

export interface RecordedExchange {
  /** Milliseconds since the start of the scenario. */
  readonly at: number;
  readonly request: RecordedRequest;
  readonly response: RecordedResponse;
}

export interface TextMessage {
  readonly at: number;
  readonly text: { readonly type: string; readonly data: JsonObject };
}

export interface BinaryMessage {
  readonly at: number;
  readonly binary: {
    readonly event: number;
    readonly header_hex: string;
    readonly image_type?: number;
    readonly metadata?: JsonObject;
    readonly image_magic?: string;
  };
}

export type RecordedMessage = TextMessage | BinaryMessage;

export interface RecordedSocket {
  readonly query: string;
  readonly messages: readonly RecordedMessage[];
}

/** What one client session with ComfyUI 0.3.64 looked like from outside. */
export interface Transcript {
  readonly name: string;
  readonly note: string;
  readonly http: readonly RecordedExchange[];
  readonly ws: Readonly<Record<string, RecordedSocket>>;
}

/** Reads one recording; integers beyond 2^53 are bigints. */
export function loadTranscript(name: string): Transcript {
  const file = join(import.meta.dirname, 'fixtures/transcripts', `${name}.json`);
  // The recorder wrote these files in this shape.
  return parseJson(readFileSync(file, 'utf8')) as unknown as Transcript;
}
