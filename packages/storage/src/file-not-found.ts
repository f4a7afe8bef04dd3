/** A file that a job names is not there. The message holds the caller's name, never a machine path. */
export class FileNotFoundError extends Error {
  readonly code = 'ENOENT';

  constructor(name: string) {
    super(`No such file: ${name}`);
    this.name = 'FileNotFoundError';
  }
}
