// Loaded into a service by `npm run bench -- --profile FOLDER`: leaves a CPU profile of its main thread
// when the process ends in order. (Node 20 does not take --cpu-prof in NODE_OPTIONS.)
import { mkdirSync, writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import { basename, dirname, join } from 'node:path';
import { isMainThread } from 'node:worker_threads';

const SAMPLE_MICROSECONDS = 500;

if (isMainThread) {
  const folder = process.env.BENCH_PROFILE_DIR ?? '.';
  const service = basename(dirname(dirname(process.argv[1] ?? 'x/x/x')));
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.setSamplingInterval', { interval: SAMPLE_MICROSECONDS });
  session.post('Profiler.start');
  process.once('exit', () => {
    // The callback runs at once: the session is on this thread.
    session.post('Profiler.stop', (error, result) => {
      if (error !== null) return;
      mkdirSync(folder, { recursive: true });
      const file = join(folder, `${service}-${process.pid}.cpuprofile`);
      writeFileSync(file, JSON.stringify(result.profile));
    });
  });
}
