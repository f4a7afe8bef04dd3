import { fork } from 'node:child_process';
import { onStopEverything } from '@tiercel/testkit';
import { countPreviews } from './roles/count-previews.ts';
import { driveLoad } from './roles/drive-load.ts';
import { holdSockets } from './roles/hold-sockets.ts';
import { runGraphs } from './roles/run-graphs.ts';
import { addToBullmq, workBullmq } from './roles/run-bullmq.ts';
import { samplePictures } from './roles/sample-pictures.ts';
import { serveReference } from './roles/serve-reference.ts';
import { serveVendor } from './roles/serve-vendor.ts';
import { timeJobs } from './roles/time-jobs.ts';

/**
 * Load generators and reference servers run in processes of their own, so that they do not share an
 * event loop with what is measured. scripts/bench.mjs makes one file of everything below bench/: that
 * file, started with `--role NAME`, is such a process. It answers commands over IPC until it is left alone.
 */
const ROLES = {
  ...{ driveLoad, holdSockets, timeJobs, samplePictures, countPreviews },
  ...{ serveReference, serveVendor, workBullmq, addToBullmq, runGraphs },
};
export const ROLE_FLAG = '--role';

type RoleName = keyof typeof ROLES;
type Command<K extends RoleName> = Parameters<(typeof ROLES)[K]>[0];
type Reply<K extends RoleName> = Awaited<ReturnType<(typeof ROLES)[K]>>;

interface RoleAnswer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

/** Sends a command to the process and resolves with its reply. */
export type Role<K extends RoleName> = (command: Command<K>) => Promise<Reply<K>>;

/** Starts a process for one role; `stopEverything` ends it. */
export function startRole<K extends RoleName>(name: K): Role<K> {
  const child = fork(import.meta.filename, [ROLE_FLAG, name]);
  const waiting = new Map<number, { resolve: (r: unknown) => void; reject: (e: Error) => void }>();
  let nextId = 0;
  child.on('message', ({ id, result, error }: RoleAnswer) => {
    const call = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) call?.resolve(result);
    else call?.reject(new Error(`${name}: ${error}`));
  });
  child.on('exit', () => {
    for (const { reject } of waiting.values()) reject(new Error(`${name} ended`));
  });
  onStopEverything(() => child.kill('SIGKILL'));
  return (command) =>
    new Promise((resolve, reject) => {
      nextId += 1;
      // The cast trusts the child, which is this same program.
      waiting.set(nextId, {
        resolve: (result) => {
          resolve(result as Reply<K>);
        },
        reject,
      });
      child.send({ id: nextId, command });
    });
}

/** The child's side. */
export function playRole(name: string): void {
  if (!(name in ROLES)) throw new Error(`there is no role ${name}`);
  // Each role takes another command; the parent's types see to it that it gets its own.
  const run = ROLES[name as RoleName] as (command: unknown) => Promise<unknown>;
  process.on('message', ({ id, command }: { id: number; command: unknown }) => {
    const answer = (message: RoleAnswer): void => {
      process.send?.(message);
    };
    run(command).then(
      (result) => {
        answer({ id, result });
      },
      (error: unknown) => {
        answer({ id, error: String(error) });
      },
    );
  });
  process.on('disconnect', () => process.exit(0));
}
