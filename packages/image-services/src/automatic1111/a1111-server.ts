import { isJsonObject, type JsonValue } from '@tiercel/contracts';
import type { PreviewPicture } from '@tiercel/routing';
import { callService, joinUrl } from '../service/http.ts';
import { tryReadJson } from '../service/refusal.ts';
import { sniffImage } from '../service/read-picture.ts';
import { classifyA1111 } from '../service/vendor-refusals.ts';

export const A1111 = 'Automatic1111';

/** What the server as a whole is doing. */
interface A1111Progress {
  /** 0..1. */
  readonly fraction: number;
  readonly preview: PreviewPicture | undefined;
  /** Whose render it is; null: nobody's; undefined: the server is too old to say. */
  readonly taskId: string | null | undefined;
}

/** The routes of one server that a render needs. */
export interface A1111Server {
  render(
    path: string,
    body: Readonly<Record<string, unknown>>,
    signal: AbortSignal,
  ): Promise<Buffer>;
  progress(signal: AbortSignal): Promise<A1111Progress>;
  /** Ends whatever the server renders. */
  interrupt(signal: AbortSignal): Promise<void>;
}

/** @param login `user:password` of `--api-auth` */
export function openA1111(url: string, login: string | undefined): A1111Server {
  const headers: Record<string, string> =
    login === undefined || login === ''
      ? {}
      : { authorization: `Basic ${Buffer.from(login).toString('base64')}` };
  const secret = login?.slice(login.indexOf(':') + 1);
  const common = { vendor: A1111, headers, secret, classify: classifyA1111 };
  return {
    render: (path, body, signal) =>
      callService({ ...common, method: 'POST', url: joinUrl(url, path), body, signal }),
    progress: async (signal) => {
      const route = joinUrl(url, '/sdapi/v1/progress');
      route.searchParams.set('skip_current_image', 'false');
      return readProgress(
        tryReadJson(await callService({ ...common, method: 'GET', url: route, signal })),
      );
    },
    interrupt: async (signal) => {
      const route = joinUrl(url, '/sdapi/v1/interrupt');
      await callService({ ...common, method: 'POST', url: route, body: {}, signal });
    },
  };
}

function readProgress(json: JsonValue | undefined): A1111Progress {
  const answer = json !== undefined && isJsonObject(json) ? json : {};
  const { progress, current_image: image, current_task: task } = answer;
  return {
    fraction: typeof progress === 'number' ? Math.min(Math.max(progress, 0), 1) : 0,
    preview: typeof image === 'string' ? readPreview(image) : undefined,
    taskId: typeof task === 'string' || task === null ? task : undefined,
  };
}

/** Sockets take PNG and JPEG; a server set to WebP shows no previews. */
function readPreview(base64: string): PreviewPicture | undefined {
  const bytes = Buffer.from(base64, 'base64');
  const format = sniffImage(bytes);
  if (format !== 'png' && format !== 'jpeg') return undefined;
  return { mediaType: `image/${format}`, bytes };
}
