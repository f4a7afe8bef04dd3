import type { Server } from 'node:http';
import type { SocketHub } from './socket-hub.ts';

const PATHS = new Set(['/ws', '/api/ws']);

/** Routes WebSocket upgrades: `/ws` and `/api/ws`, with `?clientId=`. */
export function serveUpgrades(server: Server, hub: SocketHub): void {
  server.on('upgrade', (req, socket, head) => {
    socket.on('error', () => {
      socket.destroy();
    });
    const url = URL.canParse(req.url ?? '', 'http://host')
      ? new URL(req.url ?? '', 'http://host')
      : null;
    if (url === null || !PATHS.has(url.pathname)) {
      socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    hub.handleUpgrade(req, socket, head, url.searchParams.get('clientId'));
  });
}
