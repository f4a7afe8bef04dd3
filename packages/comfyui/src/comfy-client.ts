import { createHash, randomUUID } from 'node:crypto';
import {
  type FileType,
  isFileType,
  isJsonObject,
  type JsonObject,
  type JsonValue,
  type NodeInfo,
  type ObjectInfo,
  type OutputRef,
  stringifyJson,
} from '@tiercel/contracts';
import type { StreamedBody } from '@tiercel/upstream-http';
import {
  badOutput,
  exchange,
  exchangeStream,
  readJsonAnswer,
  type ComfyAnswer,
  type ComfyRequest,
} from './comfy-request.ts';
import {
  type PromptSubmission,
  readAccepted,
  readRejection,
  readUpstreamQueue,
  stringsOf,
  type SubmitAnswer,
  type UpstreamQueue,
  writeSubmission,
} from './comfy-wire.ts';
import { parseServerAddress } from './server-address.ts';

/** Of one answer that is JSON: object_info of a server with hundreds of node packs is some 20 MB. */
const MAX_JSON_BYTES = 128 * 1024 * 1024;
/** Of one output: a long video. */
const MAX_FILE_BYTES = 1024 * 1024 * 1024;
/** A file up to this long is held whole, which is faster: most pictures. */
const SHORT_FILE_BYTES = 8 * 1024 * 1024;
/** Folders of models that are listed at once. */
const FOLDERS_AT_ONCE = 4;

export interface ComfyClientOptions {
  /** May hold credentials and a path: `https://name:secret@host/comfy`. */
  readonly baseUrl: string;
  /** For each call with its whole answer, unless the call names another. */
  readonly timeoutMs: number;
  /** Default 128 MiB. */
  readonly maxJsonBytes?: number;
  /** Of one download; default 1 GiB. */
  readonly maxFileBytes?: number;
}

/** A file that is read when it is needed, as often as it is. */
export interface InputFile {
  readonly sizeBytes: number;
  read(): AsyncIterable<Uint8Array>;
}

export interface Upload {
  readonly content: Uint8Array | InputFile;
  readonly name: string;
  readonly subfolder: string;
  /** Default input. */
  readonly type?: FileType;
  /** Default false: an equal name with other bytes gets a new name, which the answer tells. */
  readonly overwrite?: boolean;
}

/** A file on its way from a server. */
export interface DownloadedFile {
  /** The file, or its parts while they come: a long one is never held whole. */
  readonly bytes: Uint8Array | AsyncIterable<Uint8Array>;
  readonly mediaType: string;
}

/** A file as a server names it in what nodes show. */
export interface RemoteFile {
  readonly filename: string;
  readonly subfolder: string;
  readonly type: string;
}

/**
 * The last arguments of every call: who may end it, and its time limit if not the client's. When the signal
 * aborts, the call throws its reason; whether the server has acted is not known then.
 */
type Call = [signal?: AbortSignal, timeoutMs?: number];

export type ComfyClient = ReturnType<typeof createComfyClient>;

/**
 * The HTTP side of one ComfyUI server. Every call throws ComfyRequestError (an AttemptError, classified
 * once), or the reason of its signal when that aborts.
 * @throws TypeError when `baseUrl` is no http(s) URL
 */
export function createComfyClient(options: ComfyClientOptions) {
  const server = parseServerAddress(options.baseUrl);
  const maxJsonBytes = options.maxJsonBytes ?? MAX_JSON_BYTES;
  const maxFileBytes = options.maxFileBytes ?? MAX_FILE_BYTES;

  const ask = (
    request: Omit<ComfyRequest, 'maxBytes'> & { maxBytes?: number },
    [signal, timeoutMs]: Call,
  ): Promise<ComfyAnswer> =>
    exchange(
      server,
      { maxBytes: maxJsonBytes, ...request },
      { signal, timeoutMs: timeoutMs ?? options.timeoutMs },
    );
  const unexpected = (route: string, status?: number) =>
    badOutput(server.host, `answered ${route} with JSON of another shape`, undefined, status);
  const getJson = async (path: string, call: Call): Promise<JsonValue> =>
    readJsonAnswer(server.host, `GET ${path}`, await ask({ method: 'GET', path }, call));
  const getObject = async (path: string, call: Call): Promise<JsonObject> => {
    const value = await getJson(path, call);
    if (!isJsonObject(value)) throw unexpected(`GET ${path}`);
    return value;
  };
  const getStrings = async (path: string, call: Call): Promise<string[]> => {
    const value = await getJson(path, call);
    if (!Array.isArray(value)) throw unexpected(`GET ${path}`);
    return stringsOf(value);
  };
  /** Of a route that older versions do not have. */
  const getObjectIfAny = async (path: string, call: Call): Promise<JsonObject> => {
    const answer = await ask({ method: 'GET', path, accepts: [404] }, call);
    if (answer.status === 404) return {};
    const value = readJsonAnswer(server.host, `GET ${path}`, answer);
    if (!isJsonObject(value)) throw unexpected(`GET ${path}`);
    return value;
  };
  /** Parsing a catalogue takes a tenth of a second of everybody's: one that has not changed is not parsed again. */
  let catalogue: { readonly digest: string; readonly classes: ObjectInfo } | undefined;
  const post = async (path: string, body: unknown, call: Call): Promise<void> => {
    await ask({ method: 'POST', path, body: stringifyJson(body) }, call);
  };

  return {
    /** Of the server, for messages and logs. */
    host: server.host,

    /**
     * POST /prompt. A failure that is `uncertain`, and an abort, may have left the prompt on the server:
     * readQueue and readHistory find it by its id.
     */
    submit: async (prompt: PromptSubmission, ...call: Call): Promise<SubmitAnswer> => {
      const route = 'POST /prompt';
      const answer = await ask(
        {
          ...{ method: 'POST', path: '/prompt', blame: 'caller', accepts: [400] },
          body: writeSubmission(prompt),
        },
        call,
      );
      const body = readJsonAnswer(server.host, route, answer);
      const reply = answer.status === 400 ? readRejection(body) : readAccepted(body);
      if (reply === undefined) throw unexpected(route, answer.status);
      return reply;
    },

    /** GET /queue: ids only. */
    readQueue: async (...call: Call): Promise<UpstreamQueue> => {
      const queue = readUpstreamQueue(await getObject('/queue', call));
      if (queue === undefined) throw unexpected('GET /queue');
      return queue;
    },

    /** GET /history/{id}; undefined when the server knows of no such end. Numbers are exact. */
    readHistory: async (id: string, ...call: Call): Promise<JsonObject | undefined> => {
      const path = `/history/${encodeURIComponent(id)}`;
      const history = await getObject(path, call);
      const item = Object.hasOwn(history, id) ? history[id] : undefined;
      if (item === undefined || item === null) return undefined;
      if (!isJsonObject(item)) throw unexpected(`GET ${path}`);
      return item;
    },

    /** Stops that prompt if it is the one that runs; else the server does nothing, and says nothing. */
    interrupt: (id: string, ...call: Call) => post('/interrupt', { prompt_id: id }, call),

    /** Takes it off the queue if it waits there. */
    deletePending: (id: string, ...call: Call) => post('/queue', { delete: [id] }, call),

    deleteHistory: (ids: readonly string[], ...call: Call) =>
      post('/history', { delete: ids }, call),

    /**
     * GET /view. A file that the server named and does not have is its bad output, not a wrong URL.
     * @param use gets the file: whole when it is short, else in parts while they come. What it throws is thrown
     */
    download: <T>(
      { filename, subfolder, type }: RemoteFile,
      use: (file: DownloadedFile) => Promise<T>,
      ...[signal, timeoutMs = options.timeoutMs]: Call
    ): Promise<T> => {
      const query = { filename, subfolder, type };
      const request: ComfyRequest = {
        ...{ method: 'GET', path: '/view', query, accepts: [404], maxBytes: maxFileBytes },
        allowsHtml: /\.html?$/i.test(filename),
      };
      return exchangeStream(server, request, { signal, timeoutMs }, async (answer) => {
        const { status, mediaType } = answer;
        if (status === 404) {
          throw badOutput(server.host, 'no longer has a file it named', undefined, status);
        }
        const bytes = await holdShort(answer.body);
        if (bytes instanceof Uint8Array && bytes.byteLength === 0) {
          throw badOutput(server.host, 'named a file without a byte in it');
        }
        return use({
          bytes,
          mediaType: mediaType === '' ? 'application/octet-stream' : mediaType,
        });
      });
    },

    /** POST /upload/image, which takes any kind of file. @returns where it is, maybe under another name */
    upload: async (file: Upload, ...call: Call): Promise<OutputRef> => {
      const folder = file.type ?? 'input';
      const overwrite = String(file.overwrite ?? false);
      const body = writeForm(file, { subfolder: file.subfolder, type: folder, overwrite });
      const path = '/upload/image';
      const answer = await ask({ method: 'POST', path, body, blame: 'caller' }, call);
      const stored = readJsonAnswer(server.host, `POST ${path}`, answer);
      const { name, subfolder, type } = isJsonObject(stored) ? stored : {};
      if (typeof name !== 'string') throw unexpected(`POST ${path}`);
      return {
        filename: name,
        subfolder: typeof subfolder === 'string' ? subfolder : file.subfolder,
        type: isFileType(type) ? type : folder,
      };
    },

    /**
     * GET /object_info, limits of 64 bits as bigint. Classes without `input` are left out.
     * @returns the same object while the server says the same
     */
    objectInfo: async (...call: Call): Promise<ObjectInfo> => {
      const answer = await ask({ method: 'GET', path: '/object_info' }, call);
      const digest = createHash('sha256').update(answer.bytes).digest('base64');
      if (catalogue?.digest === digest) return catalogue.classes;
      const route = 'GET /object_info';
      const classes = readJsonAnswer(server.host, route, answer);
      if (!isJsonObject(classes)) throw unexpected(route);
      // ComfyUI writes all fields of a NodeInfo or leaves the class out; what we read ourselves is checked.
      catalogue = { digest, classes: withInputs(classes) as unknown as ObjectInfo };
      return catalogue.classes;
    },

    /** GET /object_info/{class}; undefined when the server does not have it. */
    nodeInfo: async (name: string, ...call: Call): Promise<NodeInfo | undefined> => {
      const answer = await getObject(`/object_info/${encodeURIComponent(name)}`, call);
      // As above.
      return withInputs(answer)[name] as unknown as NodeInfo | undefined;
    },

    /** GET /models and each folder of it -> names of files. The time limit is for each of these calls. */
    models: async (...call: Call): Promise<Readonly<Record<string, readonly string[]>>> => {
      const folders = await getStrings('/models', call);
      const listed = new Map<string, readonly string[]>(folders.map((folder) => [folder, []]));
      const left = folders.values(); // shared: each lister takes the next one
      const list = async (): Promise<void> => {
        for (const folder of left) {
          const path = `/models/${encodeURIComponent(folder)}`;
          const answer = await ask({ method: 'GET', path, accepts: [404] }, call);
          if (answer.status === 404) continue; // gone since
          listed.set(folder, stringsOf(readJsonAnswer(server.host, `GET ${path}`, answer)));
        }
      };
      await Promise.all(Array.from({ length: FOLDERS_AT_ONCE }, list));
      return Object.fromEntries(listed);
    },

    embeddings: (...call: Call) => getStrings('/embeddings', call),

    /** GET /extensions: paths of the JavaScript that the frontend loads. */
    extensions: (...call: Call) => getStrings('/extensions', call),

    systemStats: (...call: Call) => getObject('/system_stats', call),

    /** GET /features: what the frontend may rely on. */
    features: (...call: Call) => getObjectIfAny('/features', call),

    /** GET /node_replacements: old class -> what may take its place. */
    nodeReplacements: (...call: Call) => getObjectIfAny('/node_replacements', call),

    /** POST /free, e.g. `{unload_models: true}`. */
    free: (body: JsonObject, ...call: Call) => post('/free', body, call),

    /** GET /prompt, the cheapest question there is. @returns prompts that run and wait, of everybody */
    ping: async (...call: Call): Promise<{ readonly queueRemaining: number }> => {
      const { exec_info: info } = await getObject('/prompt', call);
      const remaining = isJsonObject(info) ? info.queue_remaining : undefined;
      if (typeof remaining !== 'number') throw unexpected('GET /prompt');
      return { queueRemaining: remaining };
    },
  };
}

/** The classes of a catalogue that can be read. */
function withInputs(classes: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(classes).filter(([, info]) => isJsonObject(info) && isJsonObject(info.input)),
  );
}

function writeForm(
  { content, name }: Upload,
  fields: Readonly<Record<string, string>>,
): FormData | StreamedBody {
  if (!(content instanceof Uint8Array)) {
    return streamForm(fields, { field: 'image', name, content });
  }
  const form = new FormData();
  form.set('image', new Blob([content]), name);
  for (const [key, value] of Object.entries(fields)) form.set(key, value);
  return form;
}

/** A form with one file that is read while it is sent: it never lies in memory. */
function streamForm(
  fields: Readonly<Record<string, string>>,
  { field, name, content }: { field: string; name: string; content: InputFile },
): StreamedBody {
  const boundary = `tiercel-${randomUUID()}`;
  const part = (head: string, body: string) =>
    `--${boundary}\r\nContent-Disposition: form-data; ${head}\r\n${body}`;
  const texts = Object.entries(fields).map(([key, value]) =>
    part(`name="${escapeName(key)}"`, `\r\n${value}\r\n`),
  );
  const file = `name="${escapeName(field)}"; filename="${escapeName(name)}"`;
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
function escapeName(name: string): string {
  return name.replaceAll('\n', '%0A').replaceAll('\r', '%0D').replaceAll('"', '%22');
}

/** A short body whole; of a long one what has come, and then the rest. */
async function holdShort(
  body: AsyncIterable<Buffer>,
): Promise<Uint8Array | AsyncIterable<Uint8Array>> {
  const parts: Buffer[] = [];
  let size = 0;
  const rest = body[Symbol.asyncIterator]();
  for (;;) {
    const next = await rest.next();
    if (next.done === true) return Buffer.concat(parts);
    parts.push(next.value);
    size += next.value.byteLength;
    if (size > SHORT_FILE_BYTES) break;
  }
  return (async function* () {
    yield* parts.splice(0);
    yield* { [Symbol.asyncIterator]: () => rest };
  })();
}
