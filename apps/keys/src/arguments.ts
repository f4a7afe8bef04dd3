import { parseArgs } from 'node:util';
import { isRole, type Role } from '@tiercel/contracts';

export const USAGE = `usage: npm run -s keys -- create --tenant T [--plan P] [--role R] [--name N] [--expires E] [--if-none] [--json]
       npm run -s keys -- list [--tenant T] [--json]
       npm run -s keys -- revoke ID [--json]
       npm run -s keys -- rotate ID [--grace D] [--json]

  --tenant T    whose jobs and files the key opens
  --plan P      what the tenant may use: anonymous, free, pro, internal, or a plan of the configuration
                (default: free; for other roles than user: internal)
  --role R      user (default), internal or admin
  --name N      for people: what the key is for
  --expires E   a time (2027-01-31, 2027-01-31T12:00:00Z), or how long from now (30d, 12h, 45m, 90s)
  --if-none     makes a key only when there is none yet
  --grace D     how long the earlier key is still good (default: not at all)
  --json        one JSON value on standard output, and nothing else

A key is shown once, when it is made. create and rotate print it; only its hash is stored.`;

/** In ms: a point in time, or how long from now by the clock of Redis. */
export type Expiry = { readonly at: number } | { readonly fromNow: number };

/** What the command line asks for. Times in ms. */
export type Command =
  | {
      readonly name: 'create';
      readonly tenant: string;
      readonly plan: string;
      readonly role: Role;
      readonly keyName: string;
      readonly expires: Expiry | undefined;
      readonly ifNone: boolean;
      readonly json: boolean;
    }
  | { readonly name: 'list'; readonly tenant: string | undefined; readonly json: boolean }
  | { readonly name: 'revoke'; readonly id: string; readonly json: boolean }
  | {
      readonly name: 'rotate';
      readonly id: string;
      readonly graceMs: number;
      readonly json: boolean;
    }
  | { readonly name: 'help' };

/** A command line that cannot be understood; the message says why. */
export class UsageError extends Error {}

const OPTIONS = {
  tenant: { type: 'string' },
  plan: { type: 'string' },
  role: { type: 'string' },
  name: { type: 'string' },
  expires: { type: 'string' },
  id: { type: 'string' },
  grace: { type: 'string' },
  'if-none': { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

/** Which options each command takes, besides --json. */
const TAKES: Readonly<Record<string, readonly string[]>> = {
  create: ['tenant', 'plan', 'role', 'name', 'expires', 'if-none'],
  list: ['tenant'],
  revoke: ['id'],
  rotate: ['id', 'grace'],
};

/**
 * @param args without the program
 * @throws UsageError
 */
export function readCommand(args: readonly string[]): Command {
  const { values, positionals } = parse(args);
  if (values.help) return { name: 'help' };
  const [name = '', id = values.id, ...rest] = positionals;
  const takes = Object.hasOwn(TAKES, name) ? TAKES[name] : undefined;
  if (takes === undefined) {
    throw new UsageError(name === '' ? 'no command is given' : `${name} is no command`);
  }
  const given = Object.entries(values).filter(([, value]) => value !== false);
  for (const [option] of given) {
    if (option !== 'json' && !takes.includes(option)) {
      throw new UsageError(`${name} takes no --${option}`);
    }
  }
  if (rest.length > 0 || (id !== undefined && !takes.includes('id'))) {
    throw new UsageError(`${name} does not take ${JSON.stringify(rest[0] ?? id)}`);
  }
  const { json, tenant } = values;
  switch (name) {
    case 'create': {
      const role = values.role ?? 'user';
      if (tenant === undefined) throw new UsageError('--tenant is missing');
      if (!isRole(role)) throw new UsageError('--role is one of user, internal and admin');
      const expires = values.expires === undefined ? undefined : readExpiry(values.expires);
      return {
        ...{ name, tenant, role, json, expires, ifNone: values['if-none'] },
        plan: values.plan ?? (role === 'user' ? 'free' : 'internal'),
        keyName: values.name ?? '',
      };
    }
    case 'list':
      return { name, tenant, json };
    default: {
      if (id === undefined) throw new UsageError(`${name} needs the id of a key: see list`);
      if (name === 'revoke') return { name, id, json };
      return { name: 'rotate', id, json, graceMs: readDuration(values.grace ?? '0s', '--grace') };
    }
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : 'it cannot be read');
  }
}

const UNIT_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

function readDuration(text: string, option: string): number {
  const [, count, unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  if (count === undefined)
    throw new UsageError(`${option} is a duration such as 30d, 12h, 45m or 90s`);
  return Number(count) * UNIT_MS[unit as keyof typeof UNIT_MS]; // one of the four that the pattern has
}

function readExpiry(text: string): Expiry {
  if (/^\d+[smhd]$/.test(text)) return { fromNow: readDuration(text, '--expires') };
  const at = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : NaN;
  if (!Number.isNaN(at)) return { at };
  throw new UsageError(
    '--expires is a time such as 2027-01-31T12:00:00Z, or a duration such as 30d',
  );
}
