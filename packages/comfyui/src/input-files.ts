import { createHash } from 'node:crypto';
import { extname } from 'node:path';
import { Readable } from 'node:stream';
import {
  DEFAULT_TENANT,
  type InputSpec,
  isJsonObject,
  joinMembers,
  type JsonValue,
  type NewOutput,
  type ObjectInfo,
  type PromptGraph,
  type PromptNode,
  sliceMembers,
  stringifyJson,
  toPythonJson,
} from '@tiercel/contracts';
import { inputSpecs, isUploadInput } from '@tiercel/graph';
import { rewritePngText, rewritePngTextStream } from '@tiercel/pictures';
import { type AttemptRequest, JobError } from '@tiercel/routing';
import type { InputFile } from './comfy-client.ts';
import { readPythonJson } from './comfy-wire.ts';

/** Where pushed files lie in a server's input folder. */
const FOLDER = 'tiercel';
/** Load3D takes only what it lists, and it lists what is below `3d`; other nodes take any existing file. */
const FOLDER_3D = '3d/tiercel';
/** What a 3D loader is given for an empty scene. */
const NO_MODEL = 'none';
/** The files in the value of a LOAD_3D widget: what its viewer rendered. */
const VIEWER_FILES: ReadonlySet<string> = new Set(['image', 'mask', 'normal', 'recording']);
/** A string that is the name of a pushed file (see pushInputs), as JSON text. */
const PUSHED_NAME = /(?<!\\)"(?:3d\/)?tiercel\/[0-9a-f]{64}[^"\\]*(?:\\.[^"\\]*)*"/g;
/** In place of a file that is gone: no picture names its hash. */
const NOTHING: InputFile = { sizeBytes: 0, read: () => Readable.from([]) };

/** An input whose file has another name on the server. */
export interface RenamedInput {
  readonly nodeId: string;
  /** The caller's, with its annotation. */
  readonly given: string;
  readonly pushed: string;
}

/** Where the files lie that prompts name. */
export interface InputFiles {
  /** Rejects when there is no such file. */
  openInput(annotatedName: string): Promise<InputFile>;
}

/**
 * A member of an output node's inputs that no node reads: a hash of the tenant. A server keeps the results of nodes, and
 * would answer an equal graph with the file that it wrote for somebody else, whose workflow is in it; its cache goes by all
 * members, so with this one it tells tenants apart.
 */
const TENANT_MEMBER = 'tiercel_tenant';
/** The member in the text that a server writes into pictures, with the comma before it or after it. */
const TENANT_TEXT = /, "tiercel_tenant": "[0-9a-f]{16}"|"tiercel_tenant": "[0-9a-f]{16}"(?:, )?/g;

/** The prompt of another tenant than DEFAULT_TENANT with its mark on the output nodes. */
export function markTenant(
  { tenant, graph }: Pick<AttemptRequest, 'tenant' | 'graph'>,
  promptText: string,
  objectInfo: ObjectInfo,
): string {
  if (tenant === DEFAULT_TENANT) return promptText;
  const mark = createHash('sha256').update(tenant, 'utf8').digest('hex').slice(0, 16);
  const outputs = Object.entries(graph).filter(
    ([, { class_type }]) => objectInfo[class_type]?.output_node === true,
  );
  const marked = outputs.map(([id]) => [id, new Map([[TENANT_MEMBER, mark]])] as const);
  return marked.length === 0 ? promptText : replaceInputs(promptText, new Map(marked));
}

interface InputPusher extends InputFiles {
  /** Brings a file to the server unless it is there. */
  push(file: { name: string; subfolder: string; content: InputFile }): Promise<void>;
  /** Told of each name that is replaced. */
  noteName(renamed: RenamedInput): void;
}

/**
 * Brings the files that a graph names (inputs that object_info marks as uploads) to a server, each under
 * the hash of its content: equal names of different users never collide, and a file is sent once.
 * @returns the graph's text with the names replaced; the original text when it names no file
 */
export async function pushInputs(
  graph: PromptGraph,
  promptText: string,
  objectInfo: ObjectInfo,
  pusher: InputPusher,
): Promise<string> {
  const changed = new Map<string, Map<string, JsonValue>>();
  for (const [nodeId, node] of Object.entries(graph)) {
    const info = objectInfo[node.class_type];
    if (info === undefined) continue;
    for (const { name, spec } of inputSpecs(info, node.inputs)) {
      const value = node.inputs[name];
      if (value === undefined) continue;
      const pushed = await pushValue(value, spec, (file, folder) =>
        pushOne(file, folder, { nodeId, node }, pusher),
      );
      if (pushed === value) continue;
      const inputs = changed.get(nodeId) ?? new Map<string, JsonValue>();
      changed.set(nodeId, inputs.set(name, pushed));
    }
  }
  return changed.size === 0 ? promptText : replaceInputs(promptText, changed);
}

/** Only the text of these inputs changes: `1.0` stays `1.0`, and the order of nodes stays. */
function replaceInputs(
  promptText: string,
  changed: ReadonlyMap<string, ReadonlyMap<string, JsonValue>>,
): string {
  const nodes = sliceMembers(promptText);
  for (const [nodeId, inputs] of changed) {
    const node = sliceMembers(nodes.get(nodeId) ?? '{}');
    const members = sliceMembers(node.get('inputs') ?? '{}');
    for (const [name, value] of inputs) members.set(name, stringifyJson(value));
    node.set('inputs', joinMembers(members));
    nodes.set(nodeId, joinMembers(node));
  }
  return joinMembers(nodes);
}

/** The value of an input with the names of its files replaced; the value itself when it names none. */
async function pushValue(
  value: JsonValue,
  spec: InputSpec,
  push: (annotatedName: string, folder: string) => Promise<string>,
): Promise<JsonValue> {
  if (spec[0] === 'LOAD_3D' && isJsonObject(value)) {
    const members: [string, JsonValue][] = [];
    for (const [key, member] of Object.entries(value)) {
      const isFile = VIEWER_FILES.has(key) && typeof member === 'string' && member !== '';
      members.push([key, isFile ? await push(member, FOLDER) : member]);
    }
    return Object.fromEntries(members);
  }
  if (!isUploadInput(spec) || typeof value !== 'string' || value === '') return value;
  if (spec[1]?.file_upload !== true) return await push(value, FOLDER);
  if (value === NO_MODEL) return value;
  return await push(value, FOLDER_3D);
}

async function pushOne(
  annotatedName: string,
  folder: string,
  { nodeId, node }: { readonly nodeId: string; readonly node: PromptNode },
  pusher: InputPusher,
): Promise<string> {
  let content: InputFile;
  let hash: string;
  try {
    content = await pusher.openInput(annotatedName);
    hash = await hashOf(content);
  } catch (cause) {
    // The API saw the file when it took the prompt; it was deleted since. A 3D model it did not look for.
    throw new JobError(
      'node_failed',
      {
        node_id: nodeId,
        node_type: node.class_type,
        executed: [],
        exception_message: `Invalid file: ${annotatedName} (no such file; it may have been deleted since)\n`,
        exception_type: 'FileNotFoundError',
        traceback: [],
        current_inputs: {},
        current_outputs: [],
      },
      { cause },
    );
  }
  const bare = annotatedName.replace(/ \[\w+\]$/, '');
  const name = `${hash}${extname(bare)}`;
  await pusher.push({ name, subfolder: folder, content });
  const pushed = `${folder}/${name}`;
  pusher.noteName({ nodeId, given: annotatedName, pushed });
  return pushed;
}

async function hashOf(file: InputFile): Promise<string> {
  const hash = createHash('sha256');
  for await (const part of file.read()) hash.update(part);
  return hash.digest('hex');
}

/**
 * Which names of a prompt were replaced on its way to a server, so that the pictures it writes can be
 * given the caller's again: ComfyUI keeps the prompt in them.
 *
 * Only the names are put back. The whole text is not replaced by the caller's prompt, because a file may
 * have been written for an earlier prompt, whose results the server still had: this text tells how the
 * picture was made, and stays true. Everything else in it (numbers, spaces, order) stays as Python wrote it.
 */
export class CallerNames {
  /** By node: one content may have several names in a prompt. Both names are JSON text. */
  readonly #ofNode = new Map<string, Map<string, string>>();
  /** For the text of an earlier prompt, whose nodes have other ids. */
  readonly #ofAny = new Map<string, string>();
  /** Whether the prompt bears its tenant's mark (see markTenant). */
  readonly #isMarked: boolean;

  constructor(tenant: string) {
    this.#isMarked = tenant !== DEFAULT_TENANT;
  }

  note({ nodeId, given, pushed }: RenamedInput): void {
    const [from, to] = [toJsonText(pushed), toJsonText(given)];
    const names = this.#ofNode.get(nodeId) ?? new Map<string, string>();
    this.#ofNode.set(nodeId, names.set(from, to));
    if (!this.#ofAny.has(from)) this.#ofAny.set(from, to);
  }

  /**
   * A file of a server with the caller's names in its text `prompt`. Whatever is no PNG, or names none
   * of the pushed files there, comes back as it is.
   */
  restoreIn(file: Uint8Array): Uint8Array;
  restoreIn(file: NewOutput['bytes']): NewOutput['bytes'];
  restoreIn(file: NewOutput['bytes']): NewOutput['bytes'] {
    if (this.#ofAny.size === 0 && !this.#isMarked) return file;
    const restore = (text: string) => this.#restore(text);
    return file instanceof Uint8Array
      ? rewritePngText(file, 'prompt', restore)
      : rewritePngTextStream(file, 'prompt', restore);
  }

  #restore(promptText: string): string {
    if (!isJson(promptText)) return promptText; // another program's, or a custom node's
    let restored = '';
    let at = 0;
    for (const [nodeId, node] of sliceMembers(promptText)) {
      const start = promptText.indexOf(node, at);
      if (start < 0) return promptText; // a node twice: nothing that ComfyUI writes
      const names = this.#ofNode.get(nodeId);
      restored += promptText.slice(at, start);
      const named = node.replace(
        PUSHED_NAME,
        (pushed) => names?.get(pushed) ?? this.#ofAny.get(pushed) ?? pushed,
      );
      restored += this.#isMarked ? named.replace(TENANT_TEXT, '') : named;
      at = start + node.length;
    }
    return restored + promptText.slice(at);
  }
}

/**
 * The names of a prompt that another worker has sent. An input that was deleted or replaced since is
 * not among them.
 */
export async function recallNames(
  { tenant, graph, promptText }: AttemptRequest,
  objectInfo: ObjectInfo,
  files: InputFiles,
): Promise<CallerNames> {
  const names = new CallerNames(tenant);
  await pushInputs(graph, promptText, objectInfo, {
    openInput: (name) => files.openInput(name).catch(() => NOTHING),
    push: () => Promise.resolve(), // it is there already
    noteName: (renamed) => {
      names.note(renamed);
    },
  });
  return names;
}

function toJsonText(name: string): string {
  return toPythonJson(JSON.stringify(name));
}

function isJson(text: string): boolean {
  try {
    readPythonJson(text);
    return true;
  } catch {
    return false;
  }
}
