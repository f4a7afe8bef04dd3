import { describeReport } from './describe-report.mjs';

/** Where the output is no terminal, one line of figures in this time. */
const PLAIN_EVERY_MS = 3000;
const ESC = '\u001b[';
const COLOURS = { closed: `${ESC}32m`, open: `${ESC}31m`, half_open: `${ESC}33m` };
const BOLD = `${ESC}1m`;
const PLAIN = `${ESC}0m`;

/** What a person sees: on a terminal a table that is drawn anew in place, else plain lines. */
export function createScreen(out) {
  return out.isTTY ? createTable(out) : createLines(out);
}

function createTable(out) {
  const hasColours = out.hasColors() && !('NO_COLOR' in process.env);
  const paint = (colour, text) => (hasColours ? `${colour}${text}${PLAIN}` : text);
  let height = 0;
  let last = [];
  let isClosed = false;
  // A line that wraps would be two lines to go back over.
  const fit = (text) => text.slice(0, (out.columns ?? 80) - 1);
  const write = (lines) => {
    out.write(lines.map((line) => `${line}\n`).join(''));
  };
  const erase = () => {
    if (height > 0) out.write(`${ESC}${height}A${ESC}J`);
    height = 0;
  };
  const drawLast = () => {
    write(last);
    height = last.length;
  };
  const say = (text) => {
    erase();
    write([text]);
    drawLast();
  };
  const showCursor = () => {
    out.write(`${ESC}?25h`);
  };
  out.write(`${ESC}?25l`);
  process.once('exit', showCursor);
  return {
    say,
    announce: (title, words) => {
      say(`\n${paint(BOLD, title)}\n${words}`);
    },
    draw: (view) => {
      if (isClosed) return;
      const { head, rows, figures, report } = describeView(view);
      erase();
      last = [
        '',
        fit(`  ${head}`),
        ...rows.map(({ text, breaker }) => paint(COLOURS[breaker] ?? '', fit(`  ${text}`))),
        ...['', figures, ...report].map((line) => fit(`  ${line}`)),
      ];
      drawLast();
    },
    close: () => {
      // The last table stays on the screen.
      isClosed = true;
      last = [];
      height = 0;
      showCursor();
    },
  };
}

function createLines(out) {
  let toldAt = 0;
  const say = (text) => {
    out.write(`${text}\n`);
  };
  return {
    say,
    announce: (title, words) => {
      say(`\n${title}\n${words}`);
      toldAt = Date.now();
    },
    draw: (view) => {
      if (Date.now() - toldAt < PLAIN_EVERY_MS) return;
      toldAt = Date.now();
      const { rows, figures, report } = describeView(view);
      const tiers = rows.map(({ name, breaker, served }) => `${name} ${breaker} ${served}`);
      say(`  ${tiers.join(' | ')} | ${figures}\n    ${join(report)}`);
    },
    close: () => undefined,
  };
}

/** The same facts for both. */
function describeView({ tiers, breakers, traffic }) {
  const line = (name, driver, breaker, served, lately) =>
    `${name.padEnd(13)}${driver.padEnd(12)}${breaker.padEnd(11)}${served.padStart(6)}  ${lately}`;
  const rows = tiers.map(({ name, driver }) => {
    const breaker = breakers.get(name) ?? 'unknown';
    const served = traffic.served.get(name) ?? 0;
    const lately = traffic.recent.filter(({ report }) => report.served_by?.tier === name).length;
    const text = line(name, driver, breaker.replace('_', '-'), String(served), '■'.repeat(lately));
    return { name, breaker, served, text };
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

function join(lines) {
  return lines.filter((line) => line !== '').join('; ');
}

function findMedian(jobs) {
  const times = jobs.map(({ ms }) => ms).sort((a, b) => a - b);
  return times[Math.floor(times.length / 2)] ?? 0;
}
