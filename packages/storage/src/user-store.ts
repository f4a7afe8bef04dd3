import { join } from 'node:path';
import { SettingsStore, type SettingsOptions } from './settings-store.ts';
import { UserFiles } from './user-files.ts';

/**
 * What belongs to the user: settings and files, in `user/default/` below DATA_DIR as ComfyUI's
 * single-user mode has it.
 */
export class UserStore {
  readonly settings: SettingsStore;
  readonly files: UserFiles;

  constructor(root: string, settings: SettingsOptions = {}) {
    const folder = join(root, 'user', 'default');
    this.settings = new SettingsStore(folder, settings);
    this.files = new UserFiles(folder);
  }
}
