import { once } from 'node:events';
import { WebSocket, type RawData } from 'ws';

/** Opens a client's socket on a ComfyUI or a Tiercel. */
export async function openJobSocket(
  url: string,
  clientId: string,
  onMessage: (data: RawData, isBinary: boolean) => void = () => undefined,
): Promise<WebSocket> {
  const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/ws?clientId=${clientId}`, {
    perMessageDeflate: false,
    skipUTF8Validation: true,
  });
  // Before the socket is open: the first frames can come with the handshake.
  socket.on('message', onMessage);
  await once(socket, 'open');
  return socket;
}

/** `executing` with no node, in ComfyUI's spelling (with Python's spaces) or Tiercel's. */
export function isJobEnd(data: RawData, isBinary: boolean): boolean {
  if (isBinary) return false;
  const text = (data as Buffer).toString(); // ws gives one Buffer unless told otherwise
  return text.includes('"executing"') && /"node": ?null/.test(text);
}
