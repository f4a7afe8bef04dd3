import type { ErrorBody } from './error-body.ts';

/** Complaints about the form of a request: which fields there are is never the caller's choice. */
const FORM_CODES =
  /^(?:unknown|unsupported|unrecognized|missing)_|^missing$|^extra_forbidden$|\.(?:missing|extra)$/;
const FORM_TEXT =
  /\brequired\b|\bmissing\b|\b(?:un(?:known|supported|recognized|expected)|additional|extra)\b.*\b(?:parameter|propert|field|input|argument|key)|\bnot (?:allowed|permitted|supported)\b/i;
/** `'/prompt'`, `"init_image"`; several stand together as in `'/width, /height'`. */
const QUOTED = /(['"`])(\/?[a-z_][\w[\]/.-]*(?:, ?\/?[a-z_][\w[\]/.-]*)*)\1/gi;
const NAME = /[a-z_]\w*/i;

/** What is said of a prompt, a picture or a mask by who names no field. */
const CONTENT_TEXT = new RegExp(
  [
    /\bprompts?\b|\bmask\b/,
    /\b(?:init|input|source|reference|uploaded|provided|your) images?\b/,
    // Not an "invalid image request".
    /\b(?:invalid|corrupt(?:ed)?) image(?:s?$|s?[^\w ]| (?:files?|data|formats?))/,
    /\bimage (?:files?|data|format|dimensions)\b|\bimage is too\b/,
  ]
    .map(({ source }) => source)
    .join('|'),
  'i',
);
/** Whose limit it is does not matter: it is the prompt that is over it. */
const LENGTH_TEXT =
  /\bprompt\b[^.\n]*\b(?:too (?:long|short)|longer|exceed(?:s|ed)?|at most|maximum|characters)\b/i;
/** Words of who set the tier up. A sentence with one of them blames that, whatever else it names. */
const SETUP_TEXT =
  /\b(?:models?|deployments?|api[ _-]?keys?|tokens?|accounts?|organi[sz]ations?|permissions?|endpoints?|routes?|urls?|headers?|billing|subscriptions?|plans?|quotas?)\b/i;

/**
 * Whether a refusal is about something that the caller wrote or uploaded: by the fields that it names, and as some
 * services name none, by its sentence.
 * @param callersFields what the vendor calls the fields that carry it
 */
export function blamesCaller(body: ErrorBody, callersFields: ReadonlySet<string>): boolean {
  const said = body.texts.join('\n');
  if (body.codes.some((code) => FORM_CODES.test(code))) return false;
  if (body.fields.length === 0 && FORM_TEXT.test(said)) return false;
  if (body.fields.length === 0 && LENGTH_TEXT.test(said)) return true;
  const named = namedFields(body);
  if (named.length > 0) return named.every((field) => callersFields.has(field));
  return CONTENT_TEXT.test(said) && !SETUP_TEXT.test(said);
}

/** The fields of the request that a refusal names, or else quotes in its sentences. */
export function namedFields({ fields, texts }: ErrorBody): readonly string[] {
  if (fields.length > 0) return fields;
  const quoted = [...texts.join('\n').matchAll(QUOTED)];
  const names = quoted.flatMap(([, , list = '']) => list.split(','));
  return names.flatMap((name) => NAME.exec(name)?.[0] ?? []);
}
