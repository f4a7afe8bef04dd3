import { FILE_TYPES, type FileType } from '@tiercel/contracts';
import { toSlashes } from './safe-path.ts';

interface AnnotatedName {
  readonly name: string;
  /** Undefined when the name carries no annotation. */
  readonly type: FileType | undefined;
}

/** Takes ComfyUI's annotation off a file name: "a.png [temp]" -> "a.png" in temp. */
export function parseAnnotated(text: string): AnnotatedName {
  for (const type of FILE_TYPES) {
    const mark = `[${type}]`;
    // ComfyUI cuts one more character than the mark, whatever it is; only a blank makes sense there.
    if (text.endsWith(mark)) return { name: text.slice(0, -mark.length).replace(/ $/, ''), type };
  }
  return { name: text, type: undefined };
}

/**
 * The name that an uploaded file asks for. Some clients on Windows send the whole path (`C:\\Users\\me\\a.png`):
 * its last part is meant. One that climbs (`..\\a.png`) is left as it is, to be refused.
 */
export function uploadName(filename: string): string {
  const path = toSlashes(filename);
  const isWindowsPath = filename.includes('\\') || /^[a-z]:\//i.test(path);
  if (!isWindowsPath || path.split('/').includes('..')) return path;
  return path.slice(path.lastIndexOf('/') + 1);
}
