import { hostname, userInfo } from 'node:os';
import { describeKey, type KeyRecord, type KeyStore, type MadeKey } from '@tiercel/accounts';
import { AppError } from '@tiercel/contracts';
import type { Command, Expiry } from './arguments.ts';

export interface CommandParts {
  readonly keys: KeyStore;
  /** Names of all plans. */
  readonly plans: readonly string[];
  /** Gets what the command answers. */
  readonly print: (line: string) => void;
  /** Gets what is beside the answer. */
  readonly say: (line: string) => void;
}

/**
 * Does what the command line asks for.
 * @throws AppError bad_request, key_unknown
 */
export async function runCommand(
  command: Exclude<Command, { name: 'help' }>,
  { keys, plans, print, say }: CommandParts,
): Promise<void> {
  const actor = { who: `command line (${userName()})`, from: hostname() };
  switch (command.name) {
    case 'create': {
      const { keyName: name, tenant, plan, role, expires, ifNone: onlyFirst, json } = command;
      if (!plans.includes(plan)) {
        throw new AppError(
          'bad_request',
          `There is no plan ${JSON.stringify(plan)}, only ${plans.join(', ')}.`,
        );
      }
      const expiresAt = expires === undefined ? undefined : await timeOf(expires, keys);
      const made = await keys.create({ name, tenant, plan, role, expiresAt }, actor, { onlyFirst });
      if (made === undefined) say('There are keys already; none was made.');
      else showKey(made, json, print, say);
      return;
    }
    case 'rotate':
      showKey(await keys.rotate(command.id, command.graceMs, actor), command.json, print, say);
      return;
    case 'revoke':
      await keys.revoke(command.id, actor);
      if (command.json) print(JSON.stringify({ id: command.id, state: 'revoked' }));
      else print(`${command.id} is revoked.`);
      return;
    case 'list': {
      const nowMs = await keys.nowMs();
      const listed = await keys.list(command.tenant);
      if (command.json) print(JSON.stringify(listed.map((record) => describeKey(record, nowMs))));
      else for (const line of table(listed, nowMs)) print(line);
      return;
    }
  }
}

async function timeOf(expires: Expiry, keys: KeyStore): Promise<number> {
  return 'at' in expires ? expires.at : (await keys.nowMs()) + expires.fromNow;
}

function showKey(
  { record, key }: MadeKey,
  json: boolean,
  print: CommandParts['print'],
  say: CommandParts['say'],
): void {
  const { id, ...rest } = describeKey(record, record.createdAt);
  if (json) {
    print(JSON.stringify({ id, key, ...rest }));
    return;
  }
  say(`Key ${id} for tenant ${record.tenant}, plan ${record.plan}, role ${record.role}.`);
  say('This is the only time that it is shown:');
  print(key);
}

const COLUMNS = [
  ...['id', 'tenant', 'plan', 'role', 'state', 'name'],
  ...['created_at', 'expires_at', 'last_used_at'],
] as const;

function table(records: readonly KeyRecord[], nowMs: number): string[] {
  const rows = records.map((record) => {
    const shown = new Map<string, string | null>(Object.entries(describeKey(record, nowMs)));
    return COLUMNS.map((column) => shown.get(column) ?? '-');
  });
  const all = [[...COLUMNS], ...rows];
  const widths = COLUMNS.map((_, index) => Math.max(...all.map((row) => row[index]?.length ?? 0)));
  return all.map((row) =>
    row
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return 'unknown user';
  }
}
