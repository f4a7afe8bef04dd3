import { describe, expect, test } from '@jest/globals';
import { formatLogLine } from './log-line.ts';

const time = new Date(2026, 0, 2, 3, 4, 5).getTime();
const entry = { level: 30, time, pid: 1, name: 'api', msg: 'listening', port: 8188, to: 'me' };

describe('formatLogLine', () => {
  test('a JSON line becomes time, process, level, message and its fields', () => {
    expect(formatLogLine(JSON.stringify(entry), 'worker 2', false)).toBe(
      '03:04:05 worker 2  info  listening  port=8188  to=me',
    );
  });

  test('an error keeps its stack, a warning only its message', () => {
    const err = { type: 'Error', message: 'boom', stack: 'Error: boom\n    at x' };
    expect(formatLogLine(JSON.stringify({ ...entry, level: 50, err }), 'api', false)).toBe(
      '03:04:05 api       error listening  port=8188  to=me  error=boom\n    Error: boom\n        at x',
    );
    const warning = formatLogLine(JSON.stringify({ ...entry, level: 40, err }), 'api', false);
    expect(warning).toMatch(/warn.*error=boom$/);
  });

  test('colours mark trouble only', () => {
    expect(formatLogLine(JSON.stringify(entry), 'api', true)).not.toContain('\u001b');
    expect(formatLogLine(JSON.stringify({ ...entry, level: 50 }), 'api', true)).toContain('\u001b');
  });

  test.each(['plain words', '{"half": ', '{}', '{"level":"info"}'])('%s is passed on', (line) => {
    expect(formatLogLine(line, 'api', false)).toBe(`api       ${line}`);
  });
});
