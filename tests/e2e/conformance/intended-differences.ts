import type { JsonValue } from '@tiercel/contracts';

/** Where a difference shows; every part is a full match. */
export interface Place {
  /** Of `<transcript> <METHOD path>` or `<transcript> <socket> <frame type>`. */
  readonly place: RegExp;
  /** Of the path inside the answer or frame. */
  readonly path: RegExp;
  /** What was recorded there; undefined: nothing; absent: anything. */
  readonly recorded?: JsonValue | undefined;
  /** What is there now; absent: anything. */
  readonly actual?: JsonValue;
}

/** Something that Tiercel does otherwise than ComfyUI 0.3.64, on purpose. */
export interface IntendedDifference {
  readonly what: string;
  readonly reason: string;
  readonly places: readonly Place[];
}

const ANY_PROMPT = String.raw`/json/[\w-]+`;

/**
 * All of them: whatever else differs from the recordings is a fault. docs/compatibility.md tells the same.
 */
export const INTENDED_DIFFERENCES: readonly IntendedDifference[] = [
  {
    what: '`status` broadcasts are coalesced',
    reason:
      'At most ten a second go to each socket, always ending with the present number: with thousands of ' +
      'jobs and sockets every change to everybody would be most of the traffic.',
    places: [{ place: /\S+ \S+ status/, path: /\/broadcasts/ }],
  },
  {
    what: 'Bad input is answered with 400, and every 400 and 403 says why',
    reason:
      'It is the caller’s fault. ComfyUI answers 500 as text because its handler fails, or a 400 or 403 without a ' +
      'body; clients read JSON.',
    places: [
      { place: /14-\S+ POST \/prompt/, path: /\/status/, recorded: 500, actual: 400 },
      { place: /15-\S+ POST \/upload\/image/, path: /\/status/, recorded: 500, actual: 400 },
      {
        place: /16-\S+ GET \/history\?max_items=abc/,
        path: /\/status/,
        recorded: 500,
        actual: 400,
      },
      { place: /.*/, path: /\/refusal/, recorded: '' },
    ],
  },
  {
    what: 'A history item has a member `tiercel`',
    reason:
      'It says what served the job: tier, model, attempts, and whether something was dropped.',
    places: [
      {
        place: /\S+ GET \/history\/\S+/,
        path: new RegExp(`${ANY_PROMPT}/tiercel`),
        recorded: undefined,
      },
    ],
  },
  {
    what: 'The features have `assets: false`, the settings of a new system `Comfy.TutorialCompleted`',
    reason:
      'Newer frontends take a missing flag for true and call routes that Tiercel does not have, and greet ' +
      'a new user with a choice of templates that are not there.',
    places: [
      {
        place: /17-\S+ GET (\/api)?\/features/,
        path: /\/json\/assets/,
        recorded: undefined,
        actual: false,
      },
      { place: /\S+ \S+ feature_flags/, path: /\/assets/, recorded: undefined, actual: false },
      {
        place: /17-\S+ GET \/settings/,
        path: /\/json\/Comfy\.TutorialCompleted/,
        recorded: undefined,
        actual: true,
      },
    ],
  },
  {
    what: 'Routes of newer ComfyUI versions exist',
    reason: 'Newer frontends call them; 0.3.64 did not have them.',
    places: [
      { place: /17-\S+ GET \/api\/jobs/, path: /\/status/, recorded: 404, actual: 200 },
      { place: /17-\S+ GET \/global_subgraphs/, path: /\/status/, recorded: 404, actual: 200 },
    ],
  },
  {
    what: 'Times of user files are in milliseconds',
    reason: 'As ComfyUI has it since 0.24; newer frontends compare them with the clock.',
    places: [
      {
        place: /17-\S+ GET \/userdata\?\S+/,
        path: /\/json\/0\/(created|modified)/,
        recorded: '<seconds>',
        actual: '<milliseconds>',
      },
    ],
  },
  {
    what: 'User files are sent as attachments',
    reason:
      'A stored HTML or SVG file must not run as a page of this server; clients fetch them by script.',
    places: [
      {
        place: /17-\S+ GET \/userdata\/\S+/,
        path: /\/headers\/content-disposition/,
        recorded: undefined,
        actual: 'attachment',
      },
    ],
  },
  {
    what: 'Order where ComfyUI’s is an accident',
    reason:
      'Independent branches, a node’s errors and the pending list come in the order of Python’s sets and of a ' +
      'heap; Tiercel runs and lists them in the order of the prompt and of execution.',
    places: [
      { place: /21-big-seed A/, path: /\/order/ },
      { place: /14-\S+ POST \/prompt/, path: /\/json\/node_errors\/1\/errors\/order/ },
      { place: /10-\S+ GET \/queue/, path: /\/json\/queue_pending\/order/ },
    ],
  },
  {
    what: 'A client that comes back is told more',
    reason:
      'ComfyUI sends only `executing` with the node. Tiercel adds the prompt_id, without which scripts fail, and the ' +
      'state and last preview of the running node.',
    places: [
      {
        place: /13-\S+ A-again executing/,
        path: /\/(prompt_id|display_node)/,
        recorded: undefined,
      },
      { place: /13-\S+ A-again (progress_state|preview)/, path: /\//, recorded: undefined },
    ],
  },
  {
    what: 'All sockets of one client id are served',
    reason:
      'ComfyUI forgets the older socket, and a tab that was duplicated or is slow to close goes silent.',
    places: [{ place: /12-\S+ C \S+/, path: /\/(invented)?/, recorded: undefined }],
  },
  {
    what: 'A cycle is named in `node_errors`',
    reason:
      'As ComfyUI has it since 0.24 (`dependency_cycle`); 0.3.64 rejects the prompt without saying why.',
    places: [
      { place: /14-\S+ POST \/prompt/, path: /\/json\/node_errors\/2/, recorded: undefined },
    ],
  },
];
