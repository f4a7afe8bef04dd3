import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { onStopEverything } from '@tiercel/testkit';

const PROGRAM = join(import.meta.dirname, 'serve-vendor.mjs');

/** A local server that speaks a vendor's wire, in a process of its own that can really die. */
export async function startVendor(vendor, { latencyMs }) {
  let child;
  const start = async (port) => {
    child = fork(PROGRAM, [vendor, String(port), String(latencyMs)], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const [first] = await Promise.race([
      once(child, 'message'),
      once(child, 'exit').then(() => [{ type: 'ended' }]),
    ]);
    if (first.type !== 'ready') throw new Error(`the stand-in for ${vendor} did not start`);
    return first.url;
  };
  onStopEverything(() => child?.kill('SIGKILL'));
  const url = await start(0);

  /** What it does wrong from now on: `{ fault, rate?, times? }`. */
  const control = async (order) => {
    const answer = await fetch(`${url}/__control`, { method: 'PUT', body: JSON.stringify(order) });
    if (!answer.ok) throw new Error(`${vendor}: ${await answer.text()}`);
  };
  return {
    url,
    control,
    heal: () => control({ fault: null }),
    kill: async () => {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
    restart: () => start(new URL(url).port),
  };
}
