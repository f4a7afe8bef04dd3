/** A part of a multipart form that is whole in memory. */
export interface FormPart {
  readonly name: string;
  /** Whether it was sent as a file. */
  readonly isFile: boolean;
  readonly data: Buffer;
}

/** A form with a prompt has one file and a few fields. */
const MAX_PARTS = 64;
const HEAD_END = '\r\n\r\n';

/**
 * The parts of a form (RFC 7578); undefined when it is not a whole one. Bodies that go to the disk as they come are
 * read elsewhere; this one is for those that are held anyhow.
 */
export function readFormParts(body: Buffer, contentType: string): FormPart[] | undefined {
  const [, quoted, plain] = /;\s*boundary=(?:"([^"]+)"|([^\s;]+))/i.exec(contentType) ?? [];
  const boundary = quoted ?? plain;
  if (boundary === undefined) return undefined;
  const delimiter = `\r\n--${boundary}`;
  const first = body.indexOf(delimiter.slice(2));
  if (first < 0) return undefined;
  const parts: FormPart[] = [];
  let at = first + delimiter.length - 2;
  while (parts.length < MAX_PARTS) {
    if (body.toString('latin1', at, at + 2) === '--') return parts;
    const head = body.indexOf(HEAD_END, at);
    const end = head < 0 ? -1 : body.indexOf(delimiter, head + 2);
    if (end < 0) return undefined;
    parts.push(
      readPart(body.toString('utf8', at, head), body.subarray(head + HEAD_END.length, end)),
    );
    at = end + delimiter.length;
  }
  return undefined;
}

function readPart(head: string, data: Buffer): FormPart {
  const disposition = /^content-disposition:(.*)$/im.exec(head)?.[1] ?? '';
  const name = /;\s*name=(?:"([^"]*)"|([^\s;]+))/i.exec(disposition);
  const isEncoded = /^content-transfer-encoding:\s*base64\s*$/im.test(head);
  return {
    name: name?.[1] ?? name?.[2] ?? '',
    isFile: /;\s*filename\*?=/i.test(disposition),
    // As mail libraries write it.
    data: isEncoded ? Buffer.from(data.toString('latin1'), 'base64') : data,
  };
}
