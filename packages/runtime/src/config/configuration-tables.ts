import { z } from 'zod';
import { envSchema } from './env-schema.ts';
import { fileSchema } from './file-schema.ts';

/** What a JSON schema tells of one setting; the parts that the documents show. */
const settingSchema = z.looseObject({
  default: z.unknown().optional(),
  description: z.string().optional(),
  type: z.string().optional(),
  pattern: z.string().optional(),
  enum: z.array(z.string()).optional(),
  minimum: z.number().optional(),
  exclusiveMinimum: z.number().optional(),
  maximum: z.number().optional(),
  required: z.array(z.string()).optional(),
  /** Of a value that may be null, or of one kind or another. */
  get anyOf() {
    return z.array(settingSchema).optional();
  },
  /** The values of a map with names of the operator's. */
  get additionalProperties() {
    return z.union([z.boolean(), settingSchema]).optional();
  },
  get properties() {
    return z.record(z.string(), settingSchema).optional();
  },
  get items() {
    return settingSchema.optional();
  },
});
type Setting = z.infer<typeof settingSchema>;

export interface DocumentedSetting {
  /** `PORT`, `queue.maxPending`, `tiers[].name`. */
  readonly key: string;
  readonly default: string;
  readonly values: string;
  readonly meaning: string;
}

/** Patterns in words; one that changes is shown as it is until its words are found. */
const PATTERNS: Readonly<Record<string, string>> = {
  '^(rediss?|unix):\\/\\/': 'URL with `redis://`, `rediss://` or `unix://`',
  '^https?:\\/\\/\\S+$': 'URL with `http://` or `https://`',
  '^[^\\p{Cc}]+$': 'text',
  '^(?:\\*|null|[a-z][a-z\\d+.-]*:\\/\\/[\\w.:[\\]-]+\\/?)$':
    'origin such as `https://pages.example`, `*` or `null`',
  '^[\\w.-]{1,64}$': '1 to 64 letters, digits, dots, dashes or underscores',
};

/** Every environment variable, in the order of the schema. */
export function listVariables(): DocumentedSetting[] {
  const settings = listSettings(settingSchema.parse(z.toJSONSchema(envSchema)), '');
  // A variable's number is read from digits alone; its JSON schema does not say so.
  return settings.map((row) => ({ ...row, values: row.values.replace(/^number/, 'whole number') }));
}

/** Every key of the configuration file, in the order of the schema. */
export function listFileKeys(): DocumentedSetting[] {
  return listSettings(settingSchema.parse(z.toJSONSchema(fileSchema)), '');
}

function listSettings(section: Setting, prefix: string): DocumentedSetting[] {
  return Object.entries(section.properties ?? {}).flatMap(([name, setting]) => {
    const key = `${prefix}${name}`;
    if (setting.properties !== undefined) return listSettings(setting, `${key}.`);
    const isRequired = prefix.includes('[]') && setting.default === undefined;
    const row = {
      key,
      default: isRequired ? 'required' : showDefault(setting),
      values: showValues(setting),
      meaning: setting.description ?? '',
    };
    const { items, additionalProperties: named } = setting;
    return [
      row,
      ...(items === undefined ? [] : listSettings(items, `${key}[].`)),
      ...(typeof named === 'object' ? listSettings(named, `${key}.<name>.`) : []),
    ];
  });
}

function showDefault(setting: Setting): string {
  const value = setting.default;
  if (value === undefined) return 'not set';
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
}

function showValues(setting: Setting): string {
  if (setting.anyOf !== undefined) {
    const kinds = setting.anyOf.filter((kind) => kind.type !== 'null');
    const isNullable = kinds.length < setting.anyOf.length;
    return [...(isNullable ? ['`null`'] : []), ...kinds.map(showValues)].join(' or ');
  }
  if (setting.type === 'boolean') return '`true` or `false`';
  if (setting.type === 'object') return 'map';
  if (setting.enum !== undefined) return setting.enum.map((value) => `\`${value}\``).join(', ');
  if (setting.pattern !== undefined) return PATTERNS[setting.pattern] ?? `\`${setting.pattern}\``;
  if (setting.type === 'array') return 'list';
  if (setting.type === 'string') return 'text';
  const kind = setting.type === 'integer' ? 'whole number' : 'number';
  const { minimum, exclusiveMinimum, maximum } = setting;
  // The largest safe integer is the format's own limit, not one of ours.
  if (maximum !== undefined && maximum !== Number.MAX_SAFE_INTEGER) {
    if (exclusiveMinimum === 0 && setting.type !== 'integer') {
      return `${kind} above 0, up to ${maximum}`;
    }
    return `${kind}, ${minimum ?? (exclusiveMinimum === undefined ? 0 : exclusiveMinimum + 1)} to ${maximum}`;
  }
  if (exclusiveMinimum !== undefined) return `${kind} above ${exclusiveMinimum}`;
  return minimum === undefined ? kind : `${kind} from ${minimum}`;
}

/** A Markdown table; one line a setting. */
export function describeTable(heading: string, settings: readonly DocumentedSetting[]): string {
  const cell = (text: string): string => text.replaceAll('|', '\\|');
  const rows = settings.map(
    (row) => `| \`${row.key}\` | ${row.default} | ${cell(row.values)} | ${cell(row.meaning)} |`,
  );
  return [`| ${heading} | Default | Values | Meaning |`, '| --- | --- | --- | --- |', ...rows].join(
    '\n',
  );
}
