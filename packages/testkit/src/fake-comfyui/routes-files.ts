import { extname } from 'node:path';
import { isFileType } from '@tiercel/contracts';
import { empty, json, serverError, type Answer } from './answer.ts';
import { FileRefusal } from './files.ts';
import { hashBytes } from './journal.ts';
import { route, type FakeRequest, type Handler, type Route } from './router.ts';
import type { FakeWorld } from './world.ts';

const TYPES: Readonly<Record<string, string>> = {
  ...{ '.png': 'image/png', '.jpg': 'image/jpeg', '.jpeg': 'image/jpeg', '.webp': 'image/webp' },
  ...{ '.mp4': 'video/mp4', '.flac': 'audio/flac', '.txt': 'text/plain', '.wav': 'audio/x-wav' },
};

/** /view and uploads (wire 9). `preview` and `channel` are not applied. */
export function fileRoutes(world: FakeWorld): Route[] {
  const upload = refusing((request) => storeUpload(world, request));
  return [
    route(
      'GET',
      /^\/view$/,
      refusing(({ query, headers }) => view(world, query, headers.range)),
    ),
    route('POST', /^\/upload\/image$/, upload),
    route('POST', /^\/upload\/mask$/, upload),
  ];
}

function refusing(handle: Handler): Handler {
  return async (request, match) => {
    try {
      return await handle(request, match);
    } catch (error) {
      if (error instanceof FileRefusal) return empty(error.status);
      throw error;
    }
  };
}

function view({ files }: FakeWorld, query: URLSearchParams, range: unknown): Answer {
  const { filename, bytes } = files.view(query);
  const headers = {
    'content-type': TYPES[extname(filename).toLowerCase()] ?? 'application/octet-stream',
    'content-disposition': `filename="${filename}"`,
    etag: `"18ea1f9c92301255-${bytes.byteLength.toString(16)}"`,
    'last-modified': new Date().toUTCString(),
    'accept-ranges': 'bytes',
  };
  const [, from, to] = typeof range === 'string' ? (/^bytes=(\d+)-(\d*)$/.exec(range) ?? []) : [];
  if (from === undefined) return { status: 200, headers, body: bytes };
  const [start, end] = [Number(from), to === '' ? bytes.byteLength : Number(to) + 1];
  const part = bytes.subarray(start, end);
  const contentRange = `bytes ${start}-${start + part.byteLength - 1}/${bytes.byteLength}`;
  return { status: 206, headers: { ...headers, 'content-range': contentRange }, body: part };
}

async function storeUpload({ files, journal }: FakeWorld, request: FakeRequest): Promise<Answer> {
  const type = request.headers['content-type'];
  if (typeof type !== 'string' || !type.startsWith('multipart/')) return serverError();
  const form = new Response(new Uint8Array(request.body), { headers: { 'content-type': type } });
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- slow for big forms; these are small
  const fields = await form.formData();
  const field = (name: string): string => {
    const value = fields.get(name);
    return typeof value === 'string' ? value : '';
  };
  const image = fields.get('image');
  if (image === null || typeof image === 'string' || image.name === '') return empty(400);
  const folder = field('type') === '' ? 'input' : field('type');
  if (!isFileType(folder)) return serverError();
  const bytes = Buffer.from(await image.arrayBuffer());
  const { filename, subfolder } = files.upload({
    name: image.name,
    subfolder: field('subfolder'),
    type: folder,
    bytes,
    overwrite: ['true', '1'].includes(field('overwrite')),
  });
  const stored = { name: filename, subfolder, type: folder };
  const sha256 = hashBytes(bytes);
  journal.record({ kind: 'upload', upload: { ...stored, bytes: bytes.byteLength, sha256 } });
  return json(stored);
}
