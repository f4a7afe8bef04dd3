export { parseAnnotated, type AnnotatedName } from './annotated-name.ts';
export { FileNotFoundError } from './file-not-found.ts';
export { FileStore, type FileRef, type NewUpload, type StoredUpload } from './file-store.ts';
export type { FoundFile } from './found-file.ts';
export { translateFileError } from './node-errors.ts';
export { joinInside, resolveInside, toSlashes } from './safe-path.ts';
export { SettingsStore, type SettingsPatch } from './settings-store.ts';
export {
  UserFiles,
  type MoveResult,
  type OnExisting,
  type UserEntry,
  type UserFileInfo,
  type WriteResult,
} from './user-files.ts';
export { uploadName } from './upload-name.ts';
export { UserStore } from './user-store.ts';
