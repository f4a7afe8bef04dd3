export { parseAnnotated, uploadName } from './caller-names.ts';
export { FileStore, type StoredUpload } from './file-store.ts';
export type { FoundFile } from './found-file.ts';
export { translateFileError } from './node-errors.ts';
export { TenantFiles, TenantUsers } from './tenant-folders.ts';
export { toSlashes } from './safe-path.ts';
export type { UserFileInfo } from './user-files.ts';
export { UserStore } from './user-store.ts';
