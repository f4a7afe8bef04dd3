/**
 * The environment of a child process: our own, with these settings added. Only its owner can read it, where arguments
 * are seen by every user of the machine.
 */
export function childEnvironment(
  settings: Readonly<Record<string, string>>,
): Readonly<Record<string, string | undefined>> {
  return { ...process.env, ...settings };
}
