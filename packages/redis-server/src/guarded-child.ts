import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';

/** For Redis to write everything after SIGTERM; then it is killed. */
export const STOP_SECONDS = 20;

/*
 * A Redis of our own, as a child process on DATA_DIR/redis.
 *
 * It must not outlive the process that started it, even when that one is killed with -9, and it must
 * not be killed by a terminal's Ctrl-C before the workers are done. So it gets its own session
 * (detached), and is started through a few words of sh: a background shell reads from a pipe that
 * only we hold, then sh becomes redis-server by exec, so that our child's pid is Redis itself. When we
 * die, the kernel closes the pipe, the shell's read ends and it stops Redis after a grace (our other
 * children are finishing then). When Redis ends first, a line on the pipe sends the shell away.
 *
 * A Redis that hangs (SIGSTOP, a disk that is gone) does not hear that it is to end: it is woken first, and killed
 * when that did not help. What it has answered is in its append-only file.
 */
const GUARD = `
( trap '' HUP INT TERM
  read -r _ <&3 && exit
  wait_for() { left=$1; while [ "$left" -gt 0 ] && kill -0 $$; do sleep 1; left=$((left - 1)); done; }
  wait_for "$0"
  kill -TERM $$
  kill -CONT $$
  wait_for ${STOP_SECONDS}
  kill -KILL $$
) >/dev/null 2>&1 &
exec "$@" 3<&-`;

const TAIL_LINES = 20;

export interface GuardedChild {
  readonly pid: number;
  readonly process: ChildProcess;
  readonly exited: Promise<void>;
  /** The last lines it wrote. */
  readonly tail: readonly string[];
}

/** Starts `command configFile` so that it ends `lingerSeconds` after this process at the latest. */
export function spawnGuarded(
  command: string,
  configFile: string,
  lingerSeconds: number,
): GuardedChild {
  const child = spawn('/bin/sh', ['-c', GUARD, String(lingerSeconds), command, configFile], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  const tail: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue; // only to please the types: both are pipes
    createInterface({ input: stream }).on('line', (line) => {
      tail.push(line);
      if (tail.length > TAIL_LINES) tail.shift();
    });
  }
  const guard = child.stdio[3];
  const exited = new Promise<void>((resolve) => {
    child.once('error', () => {
      resolve();
    });
    child.once('exit', () => {
      if (guard instanceof Writable) {
        guard.on('error', () => undefined); // the shell may be gone as well
        guard.end('done\n');
      }
      resolve();
    });
  });
  return { pid: child.pid ?? -1, process: child, exited, tail };
}
