import { describeReport } from './describe-report.mjs';

/** The tiers and the jobs of the demo, as the screen shows them. */
export function describeFallback({ tiers, breakers, traffic }) {
  const line = (name, driver, breaker, served, lately) =>
    `${name.padEnd(13)}${driver.padEnd(12)}${breaker.padEnd(11)}${served.padStart(6)}  ${lately}`;
  const rows = tiers.map(({ name, driver }) => {
    const breaker = breakers.get(name) ?? 'unknown';
    const served = traffic.served.get(name) ?? 0;
    const lately = traffic.recent.filter(({ report }) => report.served_by?.tier === name).length;
    const text = line(name, driver, breaker.replace('_', '-'), String(served), '■'.repeat(lately));
    return { text, short: `${name} ${breaker} ${served}`, colour: breaker };
  });
  const { sent, succeeded, failed, underWay, recent } = traffic;
  const newest = recent.at(-1);
  return {
    rows,
    head: line('tier', 'driver', 'breaker', 'served', 'the last 20 jobs'),
    figures:
      `${sent} jobs: ${succeeded} succeeded, ${failed.length} failed, ${underWay} under way; ` +
      `p50 of the last ${recent.length}: ${Math.round(findMedian(recent))} ms`,
    report: newest === undefined ? ['no job has ended yet'] : describeReport(newest),
  };
}

function findMedian(jobs) {
  const times = jobs.map(({ ms }) => ms).sort((a, b) => a - b);
  return times[Math.floor(times.length / 2)] ?? 0;
}
