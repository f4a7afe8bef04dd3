import { readFileSync } from 'node:fs';

/** Linux' USER_HZ, the unit of times in /proc. */
const TICKS_PER_SECOND = 100;

/** CPU time that these processes have used so far, in user and kernel mode together; Linux only. */
export function readCpuMs(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + readTicks(pid) * (1_000 / TICKS_PER_SECOND), 0);
}

function readTicks(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The second field is the program's name in brackets, which may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]); // utime and stime, see proc(5)
}
