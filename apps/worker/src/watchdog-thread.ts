/**
 * Runs in a thread of its own and watches the main thread's heartbeat. A node that never gives the
 * event loop back (an endless loop in a plug-in) cannot be interrupted from inside: the process is
 * killed, its permits are redelivered, and after queue.attempts tries the job ends in execution_error.
 */
import { writeSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import type { WatchdogData } from './watchdog.ts';

const { beats, text, blockedMs } = workerData as WatchdogData;
const counter = new Int32Array(beats);
const CHECK_MS = Math.max(50, Math.min(1_000, Math.floor(blockedMs / 4)));

let last = Atomics.load(counter, 0);
let unchangedMs = 0;
setInterval(() => {
  const now = Atomics.load(counter, 0);
  unchangedMs = now === last ? unchangedMs + CHECK_MS : 0;
  last = now;
  if (unchangedMs < blockedMs) return;
  const jobs = Buffer.from(new Uint8Array(text)).toString('utf8').replace(/\0.*$/s, '');
  const line = { level: 60, time: Date.now(), name: 'worker', pid: process.pid, blockedMs, jobs };
  writeSync(2, `${JSON.stringify({ ...line, msg: 'event loop is stuck: killing this worker' })}\n`);
  process.kill(process.pid, 'SIGKILL');
}, CHECK_MS);
