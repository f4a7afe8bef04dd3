import type { PolicyKind, PolicySetting, PolicyStore } from '@tiercel/accounts';
import { z } from 'zod';

/** One thing that administrators set, as every GET of it shows it. */
export function shownSchema<Setting extends z.ZodType>(setting: Setting) {
  return z.object({
    name: z.string(),
    file: setting.nullable().describe('What the file and the defaults say; null: nothing'),
    override: setting.nullable().describe('What an administrator has set; null: nothing'),
    effective: setting.describe('What counts'),
  });
}

export function show<Kind extends PolicyKind>(policy: PolicyStore, kind: Kind, name: string) {
  const { file, override, effective } = policy.read(kind, name);
  // JSON has no undefined.
  return { name, file: file ?? null, override: override ?? null, effective } as {
    readonly name: string;
    readonly file: PolicySetting<Kind> | null;
    readonly override: PolicySetting<Kind> | null;
    readonly effective: PolicySetting<Kind>;
  };
}

/** Times in answers are ISO 8601, as the keys command prints them. */
export function iso(timeMs: number | undefined): string | null {
  return timeMs === undefined ? null : new Date(timeMs).toISOString();
}
