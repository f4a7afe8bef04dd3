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

/** The pattern of a name that another program gave. It is kept, but for the number that makes it a fresh one. */
export type OutputNaming =
  /** `prefix_00012` + `after` + extension. ComfyUI's own nodes write `_` there, others nothing or a word. */
  | { readonly kind: 'numbered'; readonly after: string }
  /** `prefix` + extension, as long as that is free. */
  | { readonly kind: 'plain' };

/** A file to be stored under a fresh name. */
export interface NewOutput {
  readonly type: FileType;
  /**
   * ComfyUI's `filename_prefix`: may hold a subfolder, `%date:...%`, `%width%` and `%Node.input%`; with `naming`
   * it is taken as it stands.
   */
  readonly prefix: string;
  /** Left out: as ComfyUI's own nodes name files. */
  readonly naming?: OutputNaming;
  /** With the dot: `.png`. */
  readonly extension: string;
  /** The whole content, or its parts one after the other: those of a large file never lie in memory together. */
  readonly bytes: Uint8Array | AsyncIterable<Uint8Array>;
  /** Pixels; for `%width%` and `%height%` in the prefix. */
  readonly width?: number;
  readonly height?: number;
}

/** The stored files that a node's `ui` names, under whatever key. */
export function listOutputFiles(ui: UiOutput | undefined): OutputRef[] {
  return Object.values(ui ?? {})
    .flatMap((items) => (Array.isArray(items) ? (items as unknown[]) : []))
    .filter(isOutputRef);
}

function isOutputRef(value: unknown): value is OutputRef {
  return (
    typeof value === 'object' &&
    value !== null &&
    'filename' in value &&
    typeof value.filename === 'string' &&
    'subfolder' in value &&
    typeof value.subfolder === 'string' &&
    'type' in value &&
    isFileType(value.type)
  );
}
