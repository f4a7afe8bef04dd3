import { stopEverything } from '@tiercel/testkit';
import { createScreen } from './screen.mjs';

export const REDRAW_MS = 250;
const EXIT_INTERRUPTED = 130;

/**
 * Plays a demo and sets the exit code: 0 when `play` says that all went as planned, 130 after a signal.
 * @param describe what the screen shows of what `play` draws
 */
export async function playOnScreen(describe, play) {
  const screen = createScreen(process.stdout, describe);
  const signal = stopOnSignals(screen);
  let exitCode = 1;
  try {
    exitCode = (await play(screen)) ? 0 : 1;
  } catch (error) {
    // After a signal everything that is still asked has gone: that is no news.
    if (!signal.aborted) console.error(error);
  }
  if (signal.aborted) return;
  screen.close();
  await stopEverything();
  process.exit(exitCode);
}

/** After a signal, every process that was started is ended, and then this one. Returns what tells of it. */
function stopOnSignals(screen) {
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      // npm passes a terminal's Ctrl-C on, so one keystroke can be two signals.
      if (interrupted.signal.aborted) return;
      interrupted.abort();
      screen.close();
      screen.say(`${signal}: stopping.`);
      void stopEverything()
        .catch(() => undefined)
        .finally(() => process.exit(EXIT_INTERRUPTED));
    });
  }
  return interrupted.signal;
}
