import { expect, test } from '@jest/globals';
import { createAdminRoutes, type AdminDependencies } from './create-admin-routes.ts';

test('the document has exactly the paths and methods that are served', () => {
  // Nothing is asked of them until a request comes.
  const routes = createAdminRoutes({} as unknown as AdminDependencies);
  const served = routes
    .map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`)
    .filter((route) => !route.endsWith('/openapi.json'));
  const document = readDocument(routes);
  const described = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(described.sort()).toEqual(served.sort());
  expect(new Set(served).size).toBe(served.length);
  const ids = Object.values(document.paths).flatMap((methods) =>
    Object.values(methods).map(({ operationId }) => operationId),
  );
  expect(new Set(ids).size).toBe(served.length);
});

test('every route is for administrators only, below its own prefix', () => {
  for (const { path, access, prefix } of createAdminRoutes({} as unknown as AdminDependencies)) {
    expect([path, access, prefix]).toEqual([
      ...[expect.stringMatching(/^\/admin\/v1\//), 'operator', 'bare'],
    ]);
  }
});

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { operationId: string }>>>>;
}

function readDocument(routes: ReturnType<typeof createAdminRoutes>): Document {
  const route = routes.find(({ path }) => path.endsWith('/openapi.json'));
  let text = '';
  const res = {
    setHeader: () => undefined,
    end: (sent: string) => {
      text = sent;
    },
  };
  // Only what an answer uses of a response.
  void route?.handle({} as never, res as never);
  return JSON.parse(text) as Document;
}
