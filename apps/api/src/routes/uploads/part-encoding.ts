import { AppError } from '@tiercel/contracts';

type Decode = (source: AsyncIterable<Buffer>) => AsyncIterable<Buffer>;

/**
 * How a form part is written, by its Content-Transfer-Encoding; undefined: as it is. Clients that build
 * forms with mail libraries use base64, and ComfyUI's server reads it.
 * @throws AppError unsupported_encoding
 */
export function partDecoder(encoding: string): Decode | undefined {
  switch (encoding.trim().toLowerCase()) {
    case 'base64':
      return decodeBase64;
    case 'quoted-printable':
      return decodeQuotedPrintable;
    case '':
    case '7bit':
    case '8bit':
    case 'binary':
      return undefined;
    default:
      throw new AppError(
        'unsupported_encoding',
        `A part of the form has the Content-Transfer-Encoding ${JSON.stringify(encoding)}, which is not known.`,
      );
  }
}

/** The text of a form field. */
export async function decodeField(value: string, encoding: string): Promise<string> {
  const decode = partDecoder(encoding);
  if (decode === undefined) return value;
  const pieces: Buffer[] = [];
  for await (const piece of decode(once(Buffer.from(value)))) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

// eslint-disable-next-line @typescript-eslint/require-await -- an asynchronous source of one piece
async function* once(piece: Buffer): AsyncGenerator<Buffer> {
  yield piece;
}

/** Four characters are three bytes; line breaks and whatever else is not in the alphabet do not count. */
async function* decodeBase64(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let rest = '';
  for await (const chunk of source) {
    const text = rest + chunk.toString('latin1').replace(/[^A-Za-z0-9+/_=-]/g, '');
    const whole = text.length - (text.length % 4);
    rest = text.slice(whole);
    yield Buffer.from(text.slice(0, whole), 'base64');
  }
  if (rest !== '') yield Buffer.from(rest, 'base64');
}

/** RFC 2045, 6.7: `=` and two hexadecimal digits are a byte, `=` at the end of a line joins it to the next. */
async function* decodeQuotedPrintable(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let rest = '';
  for await (const chunk of source) {
    const text = rest + chunk.toString('latin1');
    // An escape may be cut by the end of a chunk.
    const cut = text.length - (/=[^=]{0,2}$/.exec(text)?.[0].length ?? 0);
    rest = text.slice(cut);
    yield decodeEscapes(text.slice(0, cut));
  }
  yield decodeEscapes(rest);
}

function decodeEscapes(text: string): Buffer {
  const plain = text
    .replace(/=[ \t]*\r?\n/g, '')
    .replace(/=([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
  return Buffer.from(plain, 'latin1');
}
