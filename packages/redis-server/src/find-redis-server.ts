import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { AppError } from '@tiercel/contracts';

const run = promisify(execFile);

const COMMANDS = ['redis-server', 'valkey-server'] as const;
const INSTALL_TIMEOUT_MS = 5 * 60_000;

const HOW_TO_GET_REDIS = `No redis-server or valkey-server was found on the PATH. Get one of:
  Debian, Ubuntu:  sudo apt-get install redis-server
  macOS:           brew install redis
  Docker:          docker run -d -p 6379:6379 redis:7 redis-server --appendonly yes --maxmemory-policy noeviction
                   and then set REDIS_URL=redis://127.0.0.1:6379`;

export interface FindRedisOptions {
  /** Called with one line before something slow or visible is done (an installation). */
  readonly say: (line: string) => void;
  /** Ends an installation that is under way. */
  readonly signal?: AbortSignal | undefined;
  /** Commands to try, in order. */
  readonly commands?: readonly string[];
  /** Installs redis-server, or returns false where that cannot be done; tests replace it. */
  readonly install?: (
    say: (line: string) => void,
    signal: AbortSignal | undefined,
  ) => Promise<boolean>;
}

/**
 * The command of a Redis server on this machine: one on the PATH, else one freshly installed with
 * apt-get (on Debian-like systems, as root).
 * @throws AppError redis_not_found, with the commands that would help; the reason of `signal`
 */
export async function findRedisServer(options: FindRedisOptions): Promise<string> {
  const { say, signal, commands = COMMANDS, install = installWithApt } = options;
  const present = await findCommand(commands);
  if (present !== undefined) return present;
  const isInstalled = await install(say, signal);
  signal?.throwIfAborted();
  if (isInstalled) {
    const installed = await findCommand(commands);
    if (installed !== undefined) return installed;
  }
  throw new AppError('redis_not_found', HOW_TO_GET_REDIS);
}

async function findCommand(commands: readonly string[]): Promise<string | undefined> {
  for (const command of commands) {
    try {
      // Running it is the surest test, and leaves the search of the PATH to the system.
      await run(command, ['--version'], { timeout: 10_000 });
      return command;
    } catch {
      // Not there, or not runnable: the next one.
    }
  }
  return undefined;
}

async function installWithApt(
  say: (line: string) => void,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if (!existsSync('/etc/debian_version') || process.getuid?.() !== 0) return false;
  say('No Redis found: installing redis-server with apt-get.');
  const apt = ['DEBIAN_FRONTEND=noninteractive', 'apt-get', '-qq'];
  const install = [...apt, 'install', '-y', '--no-install-recommends', 'redis-server'];
  // A machine with fresh package lists needs no update; most containers have none at all.
  if (await succeeds('env', install, signal)) return true;
  await succeeds('env', [...apt, 'update'], signal);
  if (await succeeds('env', install, signal)) return true;
  say('apt-get could not install redis-server.');
  return false;
}

function succeeds(
  command: string,
  args: readonly string[],
  signal: AbortSignal | undefined,
): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      ...{ stdio: 'ignore', timeout: INSTALL_TIMEOUT_MS },
      ...(signal === undefined ? {} : { signal }),
    });
    child.on('error', () => {
      resolve(false);
    });
    child.on('exit', (code) => {
      resolve(code === 0);
    });
  });
}
