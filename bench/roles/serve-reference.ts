import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';

export type ReferenceServer =
  | { readonly kind: 'echo' }
  /** The folder is served with express.static's defaults. */
  | { readonly kind: 'files'; readonly folder: string };

/** Starts a bare Express application, with Express' own defaults. Resolves with its URL. */
export async function serveReference(command: ReferenceServer): Promise<string> {
  const app = express();
  if (command.kind === 'echo') {
    app.use(express.json());
    app.post('/prompt', (req, res) => {
      res.json(req.body);
    });
  } else {
    app.use(express.static(command.folder));
  }
  const server = createServer(app);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo; // not a pipe: it listens on a port
  return `http://127.0.0.1:${port}`;
}
