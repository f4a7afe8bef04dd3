import { Readable } from 'node:stream';
import { type NewOutput, type ObjectInfo, sliceMembers, toPythonJson } from '@tiercel/contracts';
import { rewritePngText, rewritePngTextStream } from '@tiercel/pictures';
import type { AttemptRequest } from '@tiercel/routing';
import type { InputFile } from './file-form.ts';
import { pushInputs, type InputFiles, type RenamedInput } from './push-inputs.ts';
import { readPythonJson } from './python-json.ts';

/** A string that is the name of a pushed file (see pushInputs), as JSON text. */
const PUSHED_NAME = /(?<!\\)"(?:3d\/)?tiercel\/[0-9a-f]{64}[^"\\]*(?:\\.[^"\\]*)*"/g;

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
    if (this.#ofAny.size === 0) return file;
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
      restored += node.replace(
        PUSHED_NAME,
        (pushed) => names?.get(pushed) ?? this.#ofAny.get(pushed) ?? pushed,
      );
      at = start + node.length;
    }
    return restored + promptText.slice(at);
  }
}

/** In place of a file that is gone: no picture names its hash. */
const NOTHING: InputFile = { sizeBytes: 0, read: () => Readable.from([]) };

/**
 * The names of a prompt that another worker has sent. An input that was deleted or replaced since is
 * not among them.
 */
export async function recallNames(
  { graph, promptText }: AttemptRequest,
  objectInfo: ObjectInfo,
  files: InputFiles,
): Promise<CallerNames> {
  const names = new CallerNames();
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
