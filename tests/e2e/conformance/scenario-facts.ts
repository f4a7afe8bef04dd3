/** What the recordings do not tell of how they were made; their notes and frames imply it. */

const FLAGS = JSON.stringify({
  type: 'feature_flags',
  data: { supports_preview_metadata: true, supports_manager_v4_ui: true },
});
const NOT_JSON = 'not json';

/** The frames a socket sent after it was opened, by `<transcript> <socket>`. */
export const SENT_FRAMES: Readonly<Record<string, readonly string[]>> = {
  '06-previews-with-metadata A': [FLAGS],
  '12-ws-connect B': [FLAGS],
  '12-ws-connect C': [NOT_JSON, FLAGS],
};

/** Sockets that their client dropped, and the one it opened in their place. */
export const REPLACED_BY: Readonly<Record<string, string>> = {
  '13-reconnect-while-running A-again': 'A',
};

/** Uploads (by their place in the recording) whose content differs from the first one of that name. */
export const OTHER_CONTENT: Readonly<Record<string, readonly number[]>> = {
  '15-upload-view': [2],
};

/** Recordings that send a prompt while the one before may or may not have ended. */
export const RACING: ReadonlySet<string> = new Set(['15-upload-view']);
