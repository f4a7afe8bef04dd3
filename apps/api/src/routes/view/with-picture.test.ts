import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { AppError } from '@tiercel/contracts';
import type { EncodedPicture } from '@tiercel/pictures';
import { connectRaw, http, serveHttp, stopEverything } from '@tiercel/testkit';
import type { Response } from 'express';
import { sendError } from '../../http/answer.ts';
import { withPicture } from './with-picture.ts';

afterEach(stopEverything);

/** A picture whose memory is counted. */
function createPicture() {
  let giveBack: () => void = () => undefined;
  let releases = 0;
  const released = new Promise<void>((resolve) => (giveBack = resolve));
  const picture: EncodedPicture = {
    bytes: Buffer.from('picture'),
    type: 'image/png',
    release: () => {
      releases += 1;
      giveBack();
    },
  };
  return { picture, released, count: () => releases };
}

async function serve(handle: (res: Response, path: string) => Promise<unknown>): Promise<string> {
  const { url } = await serveHttp((req, res: ServerResponse) => {
    // What withPicture uses of Express' response is Node's.
    handle(res as Response, req.url ?? '').catch((error: unknown) => {
      sendError(res, error as AppError);
    });
  });
  return url;
}

const send = (res: Response) => (picture: EncodedPicture) => {
  res.end(picture.bytes);
};

describe('the memory of a picture', () => {
  test('is given back once, when the answer with it has been sent', async () => {
    const { picture, released, count } = createPicture();
    const url = await serve((res) => withPicture(res, () => Promise.resolve(picture), send(res)));
    expect((await http(url).get('/')).text).toBe('picture');
    await released;
    expect(count()).toBe(1);
  });

  test('is given back when the caller has left before the picture was made', async () => {
    const { picture, released } = createPicture();
    let isWanted = false;
    const url = await serve((res) =>
      withPicture(
        res,
        (signal) =>
          new Promise((resolve) => {
            isWanted = true;
            connection.socket.destroy();
            signal.addEventListener('abort', () => {
              resolve(picture);
            });
          }),
        send(res),
      ),
    );
    const connection = await connectRaw(url);
    connection.send('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
    await released;
    expect(isWanted).toBe(true);
  });

  test('is given back when the connection goes while the answer waits behind another one of it', async () => {
    const { picture, released } = createPicture();
    const url = await serve(async (res, path) => {
      if (path === '/never-answered') return;
      await withPicture(res, () => Promise.resolve(picture), send(res));
      connection.socket.destroy();
    });
    const connection = await connectRaw(url);
    const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`;
    connection.send(get('/never-answered') + get('/picture'));
    await released;
  });
});
