import { randomUUID } from 'node:crypto';
import type { StreamedBody } from '@tiercel/upstream-http';

/** A file that is read when it is needed, as often as it is. */
export interface InputFile {
  readonly sizeBytes: number;
  read(): AsyncIterable<Uint8Array>;
}

/** A form with one file that is read while it is sent: it never lies in memory. */
export function streamForm(
  fields: Readonly<Record<string, string>>,
  { field, name, content }: { field: string; name: string; content: InputFile },
): StreamedBody {
  const boundary = `tiercel-${randomUUID()}`;
  const part = (head: string, body: string) =>
    `--${boundary}\r\nContent-Disposition: form-data; ${head}\r\n${body}`;
  const texts = Object.entries(fields).map(([key, value]) =>
    part(`name="${escape(key)}"`, `\r\n${value}\r\n`),
  );
  const file = `name="${escape(field)}"; filename="${escape(name)}"`;
  const head = Buffer.from(
    texts.join('') + part(file, 'Content-Type: application/octet-stream\r\n\r\n'),
  );
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`);
  return {
    type: `multipart/form-data; boundary=${boundary}`,
    sizeBytes: head.length + content.sizeBytes + tail.length,
    parts: (async function* () {
      yield head;
      yield* content.read();
      yield tail;
    })(),
  };
}

/** As browsers write names in forms (WHATWG HTML, multipart/form-data). */
function escape(name: string): string {
  return name.replaceAll('\n', '%0A').replaceAll('\r', '%0D').replaceAll('"', '%22');
}
