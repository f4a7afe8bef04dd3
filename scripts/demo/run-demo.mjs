import { setTimeout as sleep } from 'node:timers/promises';
import { findRedisServer } from '@tiercel/redis-server';
import { describeFallback } from './describe-fallback.mjs';
import { playOnScreen, REDRAW_MS } from './play-on-screen.mjs';
import { createScenes } from './scenes.mjs';
import { startDemoSystem } from './system.mjs';
import { describeSummary, isAsPlanned } from './summary.mjs';
import { startTraffic } from './traffic.mjs';

/** Plays all scenes and sets the exit code: 0 when everything went as the scenes say, 130 after a signal. */
export const runDemo = () => playOnScreen(describeFallback, play);

async function play(screen) {
  screen.say('Starting four stand-ins for image services, and a Tiercel in front of them ...');
  await findRedisServer({ say: screen.say });
  const system = await startDemoSystem();
  const traffic = await startTraffic(system.url);
  screen.say(`Tiercel is at ${system.url}. Four jobs a second come in; Ctrl-C ends the demo.`);

  const view = () => ({ tiers: system.tiers, breakers: system.breakers(), traffic });
  const redraw = setInterval(() => screen.draw(view()), REDRAW_MS);
  const scenes = createScenes({ system, traffic });
  for (const [index, scene] of scenes.entries()) {
    screen.announce(`${index + 1} of ${scenes.length}: ${scene.title}`, scene.words);
    await scene.act?.();
    await sleep(scene.lastsMs);
    await waitFor(scene.until, scene.patienceMs);
    const told = await scene.close?.();
    if (told !== undefined) screen.announce(told.title, told.words);
  }
  await traffic.finish();
  await sleep(REDRAW_MS * 2);
  clearInterval(redraw);
  screen.draw(view());
  const inHistory = await traffic.countEnded();
  screen.say(describeSummary(traffic, inHistory));
  return isAsPlanned(traffic, inHistory);
}

/** A breaker closes when its pause is over and a job has tried: on a busy machine that takes a while. */
async function waitFor(isReached, patienceMs = 0) {
  const endsAt = Date.now() + patienceMs;
  while (isReached !== undefined && !isReached() && Date.now() < endsAt) await sleep(REDRAW_MS);
}
