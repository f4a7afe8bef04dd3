import { toSlashes } from './safe-path.ts';

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
