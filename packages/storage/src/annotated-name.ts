import { FILE_TYPES, type FileType } from '@tiercel/contracts';

export interface AnnotatedName {
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
