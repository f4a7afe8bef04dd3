// The command lines of commands that read a catalogue and files.
import { parseArgs } from 'node:util';
import { fail } from './bootstrap.mjs';

/**
 * Ends the process, with the usage and exit code 64, when the command is wrong; with 0 when help is asked for.
 * @param command the names of options that take a text, those of them that must be given, and what the files are
 */
export function readCommandLine(usage, { texts, required, files }) {
  let parsed;
  try {
    const options = Object.fromEntries(texts.map((name) => [name, { type: 'string' }]));
    parsed = parseArgs({
      options: { ...options, help: { type: 'boolean', short: 'h' } },
      allowPositionals: true,
    });
  } catch (error) {
    fail(`${error.message}\n${usage}`, 64);
  }
  const { values, positionals } = parsed;
  if (values.help) {
    console.log(usage);
    process.exit(0);
  }
  for (const name of required) {
    if (values[name] === undefined) fail(`--${name} is missing\n${usage}`, 64);
  }
  if (positionals.length === 0) fail(`no ${files} is given\n${usage}`, 64);
  return { values, positionals };
}
