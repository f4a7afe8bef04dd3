/** The three folders of ComfyUI's file space. */
export const FILE_TYPES = ['output', 'input', 'temp'] as const;
export type FileType = (typeof FILE_TYPES)[number];

export function isFileType(value: unknown): value is FileType {
  return FILE_TYPES.includes(value as FileType);
}

/** A stored file as it appears in `executed` frames and in history. */
export interface OutputRef {
  readonly filename: string;
  readonly subfolder: string;
  readonly type: FileType;
}

/** What a node shows: media key (`images`, `text`, `animated`, ...) -> list. */
export type UiOutput = Readonly<Record<string, unknown>>;

/** A file to be stored under a fresh name. */
export interface NewOutput {
  readonly type: FileType;
  /** ComfyUI's `filename_prefix`: may hold a subfolder, `%date:...%`, `%width%` and `%Node.input%`. */
  readonly prefix: string;
  /** With the dot: `.png`. */
  readonly extension: string;
  /** The whole content, or its parts one after the other: those of a large file never lie in memory together. */
  readonly bytes: Uint8Array | AsyncIterable<Uint8Array>;
  /** Pixels; for `%width%` and `%height%` in the prefix. */
  readonly width?: number;
  readonly height?: number;
}
