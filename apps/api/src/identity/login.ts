import type { Authenticator, ChangeWatch } from '@tiercel/accounts';
import { isAppError } from '@tiercel/contracts';
import type { Request, Response } from 'express';
import { sendText } from '../http/answer.ts';
import { readQuery, readTextBody } from '../http/read-request.ts';
import type { Route } from '../http/route.ts';
import { clearCookie, setCookie } from './credentials.ts';
import { describeChallenge } from './gate.ts';
import { loginPage } from './login-page.ts';
import { safeTarget } from './login-target.ts';
import type { Claim } from './recognize.ts';

export interface LoginDependencies {
  readonly authenticator: Pick<Authenticator, 'identify'>;
  readonly watch: Pick<ChangeWatch, 'nowMs'>;
}

/**
 * GET and POST /login, POST /logout: a key becomes a cookie, so that a browser, and a frontend that knows nothing of
 * keys, can use the service. Pages of other sites cannot send the form: their origin is checked (caller-check.ts).
 * Tries are not counted: a key has 256 random bits.
 */
export function createLoginRoutes({ authenticator, watch }: LoginDependencies): Route[] {
  const isSecure = (res: Response): boolean => (res.locals as { claim: Claim }).claim.isSecure;
  return [
    {
      method: 'GET',
      path: '/login',
      prefix: 'bare',
      access: 'everyone',
      handle: (req, res) => {
        showPage(res, { next: safeTarget(readQuery(req).get('next')) });
      },
    },
    {
      method: 'POST',
      path: '/login',
      prefix: 'bare',
      access: 'everyone',
      body: 'text',
      handle: async (req, res) => {
        const form = new URLSearchParams(readTextBody(req));
        const key = form.get('key')?.trim() ?? '';
        const next = safeTarget(form.get('next'));
        try {
          const { expiresAt } = await authenticator.identify(key);
          const lifetimeMs = expiresAt === undefined ? undefined : expiresAt - watch.nowMs();
          res.setHeader('Set-Cookie', setCookie(key, isSecure(res), lifetimeMs));
          leave(res, next);
        } catch (error) {
          if (!isAppError(error)) throw error;
          if (error.code === 'unauthorized') {
            res.setHeader('WWW-Authenticate', describeChallenge(true));
          }
          showPage(res, { next, problem: error.message, status: error.status });
        }
      },
    },
    {
      method: 'POST',
      path: '/logout',
      prefix: 'bare',
      access: 'everyone',
      handle: (_req: Request, res) => {
        res.setHeader('Set-Cookie', clearCookie(isSecure(res)));
        leave(res, '/login');
      },
    },
  ];
}

function leave(res: Response, target: string): void {
  res.setHeader('Cache-Control', 'no-store');
  res.redirect(303, target);
}

function showPage(
  res: Response,
  page: { readonly next: string; readonly problem?: string; readonly status?: number },
): void {
  res.setHeader('Cache-Control', 'no-store');
  res.setHeader('X-Content-Type-Options', 'nosniff');
  // No other page may show this one and have a click meant for it land here.
  res.setHeader(
    'Content-Security-Policy',
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  );
  // Not no-referrer: a browser would then send the form with `Origin: null`.
  res.setHeader('Referrer-Policy', 'same-origin');
  sendText(res, loginPage(page), {
    status: page.status ?? 200,
    type: 'text/html; charset=utf-8',
  });
}
