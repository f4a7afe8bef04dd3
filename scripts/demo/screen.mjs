/** Where the output is no terminal, one line of figures in this time. */
const PLAIN_EVERY_MS = 3000;
const ESC = '\u001b[';
const COLOURS = { closed: `${ESC}32m`, open: `${ESC}31m`, half_open: `${ESC}33m` };
const BOLD = `${ESC}1m`;
const PLAIN = `${ESC}0m`;

/**
 * What a person sees: on a terminal a table that is drawn anew in place, else plain lines.
 * @param describe makes the table of what is drawn: `{ head, rows: [{ text, short, colour }], figures, report }`
 */
export function createScreen(out, describe) {
  return out.isTTY ? createTable(out, describe) : createLines(out, describe);
}

function createTable(out, describe) {
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
      const { head, rows, figures, report } = describe(view);
      erase();
      last = [
        '',
        fit(`  ${head}`),
        ...rows.map(({ text, colour }) => paint(COLOURS[colour] ?? '', fit(`  ${text}`))),
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

function createLines(out, describe) {
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
      const { rows, figures, report } = describe(view);
      say(`  ${[...rows.map(({ short }) => short), figures].filter(Boolean).join(' | ')}`);
      if (report.length > 0) say(`    ${report.filter(Boolean).join('; ')}`);
    },
    close: () => undefined,
  };
}
