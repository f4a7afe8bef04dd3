import { createHash } from 'node:crypto';
import { unlinkSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError } from '@tiercel/contracts';

/** The shortest limit among systems is 104 bytes (macOS), with the closing zero. */
export const MAX_SOCKET_PATH_BYTES = 100;

/**
 * Makes this process the only one that runs a Redis on a data folder, until `release` or its death.
 *
 * The lock is a listening unix socket, not a file with a pid in it: the kernel closes it when its
 * owner dies in any way, and a pid in a container is soon another process's.
 * @throws AppError redis_not_found when another process has it
 */
export async function lockRedisFolder(folder: string): Promise<{ release: () => void }> {
  const path = lockPath(folder);
  let server = await listen(path);
  if (server === undefined) {
    const owner = await askOwner(path);
    if (owner !== undefined) throw folderIsTaken(folder, owner);
    tryUnlink(path); // left behind by a process that was killed
    server = await listen(path);
  }
  if (server === undefined) throw folderIsTaken(folder, (await askOwner(path)) ?? 'unknown');
  // Two processes may have found the same dead lock; the later one replaced the earlier one's.
  await new Promise((done) => setTimeout(done, 50));
  const owner = await askOwner(path);
  const held = server;
  if (owner !== String(process.pid)) {
    held.close();
    throw folderIsTaken(folder, owner ?? 'unknown');
  }
  return {
    release: () => {
      held.close();
    },
  };
}

/** Whether some process runs, or is just starting, a Redis on a data folder. */
export async function isRedisFolderTaken(folder: string): Promise<boolean> {
  return (await askOwner(lockPath(folder))) !== undefined;
}

function folderIsTaken(folder: string, pid: string): AppError {
  return new AppError(
    'redis_not_found',
    `Another Tiercel (process ${pid}) already runs Redis in ${folder}. Stop it, set another DATA_DIR, or share its Redis by REDIS_URL.`,
  );
}

function lockPath(folder: string): string {
  const beside = join(folder, 'owner.sock');
  if (Buffer.byteLength(beside) <= MAX_SOCKET_PATH_BYTES) return beside;
  const hash = createHash('sha256').update(folder).digest('hex').slice(0, 16);
  return join(tmpdir(), `tiercel-${hash}.sock`);
}

/** @returns undefined when something is at that path already */
function listen(path: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.on('error', () => socket.destroy());
      socket.end(String(process.pid));
    });
    server.unref();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    server.listen(path, () => {
      resolve(server);
    });
  });
}

/** @returns the pid of the lock's owner, or undefined when nobody listens there */
function askOwner(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(path);
    socket.setEncoding('utf8').setTimeout(2_000, () => {
      // A stopped owner (Ctrl-Z) accepts and says nothing: it still owns the folder.
      socket.destroy();
      resolve('unknown');
    });
    socket.on('data', (text: string) => {
      answer += text;
    });
    socket.on('error', () => {
      resolve(undefined);
    });
    socket.on('end', () => {
      resolve(answer);
    });
  });
}

function tryUnlink(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Somebody else was faster; listening decides.
  }
}
