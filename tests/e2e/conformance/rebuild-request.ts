import { crc32, deflateSync } from 'node:zlib';
import { stringifyJson, type JsonValue } from '@tiercel/contracts';

export interface Payload {
  readonly body: string | Buffer | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

const FORM = '(multipart) ';
const FILE = /^<file (.+) (\S+)>$/;
const BOUNDARY = 'tiercel-conformance-boundary';

/**
 * The bytes of a recorded body: JSON, raw text, or a form rebuilt from its description
 * (`image=<file a.png image/png>; overwrite=true`).
 * @param shade what tells two pictures of the same name apart, 0 to 255
 */
export function rebuildBody(body: JsonValue | undefined, shade: number): Payload {
  if (body === undefined) return { body: undefined, headers: {} };
  if (typeof body !== 'string') return { body: stringifyJson(body), headers: {} };
  if (!body.startsWith(FORM)) return { body, headers: {} };
  const parts = body
    .slice(FORM.length)
    .split('; ')
    .map((field) => {
      const equals = field.indexOf('=');
      return describePart(field.slice(0, equals), field.slice(equals + 1), shade);
    });
  return {
    body: Buffer.concat([...parts, Buffer.from(`--${BOUNDARY}--\r\n`)]),
    headers: { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` },
  };
}

function describePart(name: string, value: string, shade: number): Buffer {
  const [, fileName, type] = FILE.exec(value) ?? [];
  const disposition = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"`;
  if (fileName === undefined || type === undefined) {
    return Buffer.from(`${disposition}\r\n\r\n${value}\r\n`);
  }
  const content = type === 'text/plain' ? Buffer.from('hello') : makePng(shade);
  const head = `${disposition}; filename="${fileName}"\r\nContent-Type: ${type}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), content, Buffer.from('\r\n')]);
}

const WIDTH = 32;
const HEIGHT = 24;

/** The uploaded picture: 32x24 RGBA, half transparent. */
function makePng(shade: number): Buffer {
  const row = Buffer.alloc(1 + WIDTH * 4);
  for (let x = 0; x < WIDTH; x += 1) row.set([shade, x * 8, 255 - shade, 128], 1 + x * 4);
  const pixels = Buffer.concat(Array.from({ length: HEIGHT }, () => row));
  const header = Buffer.from([0, 0, 0, WIDTH, 0, 0, 0, HEIGHT, 8, 6, 0, 0, 0]);
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    makeChunk('IHDR', header),
    makeChunk('IDAT', deflateSync(pixels)),
    makeChunk('IEND', Buffer.alloc(0)),
  ]);
}

function makeChunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, checksum]);
}
