import { setTimeout as sleep } from 'node:timers/promises';
import { findRedisServer } from '@tiercel/redis-server';
import { playOnScreen, REDRAW_MS } from '../play-on-screen.mjs';
import { describeFairness } from './describe-fairness.mjs';
import { createFairnessScenes } from './scenes.mjs';
import { startFairnessSystem } from './system.mjs';

const WORKERS = 4;
const DRAIN_MS = 15_000;

/** Plays all scenes and sets the exit code: 0 when no job was lost or ended twice, 130 after a signal. */
export const runFairnessDemo = () => playOnScreen(describeFairness, play);

async function play(screen) {
  screen.say(`Starting a Redis and ${WORKERS} workers ...`);
  await findRedisServer({ say: screen.say });
  const system = await startFairnessSystem(WORKERS);
  const light = createTimer();
  const redraw = setInterval(() => screen.draw(system), REDRAW_MS);
  const scenes = createFairnessScenes(system, light);
  for (const [index, scene] of scenes.entries()) {
    screen.announce(`${index + 1} of ${scenes.length}: ${scene.title}`, scene.words);
    await scene.act();
    await sleep(scene.lastsMs);
  }
  light.stop();
  screen.announce('the rest is cleared', 'What runs ends.');
  const removed = await system.clear();
  const idleBy = Date.now() + DRAIN_MS;
  while ((await system.countQueue()).running > 0 && Date.now() < idleBy) await sleep(REDRAW_MS);
  await sleep(REDRAW_MS);
  clearInterval(redraw);
  screen.draw(system);

  const inHistory = await system.countHistory();
  const lost = system.added - removed - inHistory;
  const waits = system.tenants.get('light').waits.toSorted((a, b) => a - b);
  screen.say(
    [
      '',
      'Summary',
      `  jobs         ${system.added}: ${inHistory} ran, ${removed} were cleared`,
      `  lost         ${lost}`,
      `  ended twice  ${system.twice.length}`,
      `  light waited ${waits[Math.floor(waits.length / 2)]} ms at the median, ${waits.at(-1)} ms at most, beside a flood of 400 jobs`,
      '',
    ].join('\n'),
  );
  return lost === 0 && system.twice.length === 0;
}

function createTimer() {
  let timer;
  return {
    start: (act, everyMs) => {
      timer = setInterval(() => void act(), everyMs);
    },
    stop: () => {
      clearInterval(timer);
    },
  };
}
