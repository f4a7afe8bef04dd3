import type { IncomingMessage } from 'node:http';
import { AppError, isAppError, OPEN_CALLER, type Caller, type Role } from '@tiercel/contracts';
import type { Logger } from '@tiercel/runtime';
import type { NextFunction, Request, Response } from 'express';
import { sendError } from '../http/answer.ts';
import { isLoopbackAddress } from '../http/caller-check.ts';
import { onClosed } from '../http/on-closed.ts';
import type { Access } from '../http/route.ts';
import type { ProxiedKind } from '../proxy/proxy-rules.ts';
import type { CallerAddresses } from './caller-address.ts';
import { clearCookie } from './credentials.ts';
import { loginTarget } from './login-target.ts';
import type { OpenConnections } from './open-connections.ts';
import type { Claim, Recognizer } from './recognize.ts';

/** Stands before every route and every socket. */
export interface Gate {
  /** What pages of `api.corsOrigin` may send. */
  readonly allowedHeaders: string;
  /** Middleware before all routes: takes off a request what it says of its sender. */
  prepare(req: Request, res: Response, next: NextFunction): void;
  /** Whether a request may go on to a route; else it has been answered. Then `callerOf(res)` is known. */
  admit(req: Request, res: Response, access: Access): boolean | Promise<boolean>;
  /** The same for what a server of the pool would be asked. */
  admitProxied(req: Request, res: Response): boolean | Promise<boolean>;
  /**
   * Finds out who opens a socket, and tells it later when it must close; undefined: whoever does may have it, as
   * DEFAULT_TENANT.
   * @throws as Recognizer.recognize
   */
  admitSocket:
    | ((req: IncomingMessage) => Promise<{ readonly tenant: string; readonly hold: Hold }>)
    | undefined;
}

/** @returns to be called when what is held open has closed by itself */
type Hold = (close: () => void) => () => void;

/** As ComfyUI's --enable-cors-header says it. */
const COMFYUI_HEADERS = 'Content-Type, Authorization, Comfy-User';

/** In `auth.mode: open`: everybody may do everything. */
export function createOpenGate({ addressOf }: Pick<CallerAddresses, 'addressOf'>): Gate {
  return {
    allowedHeaders: COMFYUI_HEADERS,
    prepare: (req, res, next) => {
      res.locals.caller = {
        ...OPEN_CALLER,
        // Few ask.
        get address() {
          return addressOf(req);
        },
      };
      next();
    },
    admit: (req, res, access) => {
      if (access !== 'operator' || isFromThisMachine(req, res)) return true;
      const message =
        'With auth.mode open the admin API answers on loopback addresses only, and to nobody behind a proxy. ' +
        'Ask from the machine itself, or let auth.mode tell who is an administrator.';
      sendError(res, new AppError('forbidden', message));
      return false;
    },
    admitProxied: () => true,
    admitSocket: undefined,
  };
}

/** A proxy on this machine is not: whom it asks for may be anywhere. */
function isFromThisMachine({ headers }: Request, res: Response): boolean {
  const { caller } = res.locals as { caller: Caller };
  const isProxied = FORWARDING_HEADERS.some((name) => headers[name] !== undefined);
  return !isProxied && isLoopbackAddress(caller.address);
}

const FORWARDING_HEADERS = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip'];

export interface GateParts {
  readonly recognizer: Recognizer;
  readonly connections: OpenConnections;
  /** What a server of the pool may be asked for this request. */
  readonly matchProxied: (method: string, target: string) => ProxiedKind | undefined;
  /** Who may use routes of custom nodes. */
  readonly customRoles: readonly Role[];
  readonly log: Logger;
}

export function createGate(parts: GateParts): Gate {
  const { recognizer, connections, matchProxied, customRoles, log } = parts;

  const admit = async (
    req: Request,
    res: Response,
    access: Access,
    roles?: readonly Role[],
  ): Promise<boolean> => {
    if (access === 'everyone') return true;
    // Set by `prepare`, which comes before every route.
    const { claim } = res.locals as { claim: Claim };
    try {
      const { caller, identity } = await recognizer.recognize(claim);
      requireRole(caller, claim, access === 'admin' || access === 'operator' ? ['admin'] : roles);
      res.locals.caller = caller;
      if (req.method === 'GET') {
        onClosed(
          res,
          connections.hold(identity, () => res.destroy()),
        );
      }
      return true;
    } catch (error) {
      if (!isAppError(error)) throw error;
      const isPage = isAskedByPerson(req);
      // The files of a frontend are everybody's; only a person who opens a page is asked who he is.
      if (access === 'page' && !isPage) return true;
      refuse(req, res, error, { claim, isPage });
      return false;
    }
  };

  return {
    allowedHeaders: `${COMFYUI_HEADERS}, X-API-Key`,
    prepare: (req, res, next) => {
      const claim = recognizer.takeClaim(req);
      // Express keeps a copy of the URL.
      req.originalUrl = req.url;
      res.locals.claim = claim;
      if (claim.credential.kind === 'one') res.setHeader('Referrer-Policy', 'same-origin');
      // What one caller is answered is not another's, whatever lies between; a route may say more.
      res.setHeader('Cache-Control', 'private, no-cache');
      res.setHeader('Vary', 'Authorization, X-API-Key, Cookie');
      next();
    },
    admit,
    admitProxied: (req, res) => {
      switch (matchProxied(req.method, req.originalUrl)) {
        case 'page':
          return admit(req, res, 'page');
        case 'custom':
          return admit(req, res, 'caller', customRoles);
        case undefined:
          return admit(req, res, 'caller');
      }
    },
    admitSocket: async (req) => {
      try {
        const { identity } = await recognizer.recognize(recognizer.takeClaim(req));
        return { tenant: identity.tenant, hold: (close) => connections.hold(identity, close) };
      } catch (error) {
        // What the caller is not told is here.
        if (!isAppError(error))
          log.warn({ err: error }, 'who opens a socket could not be found out');
        throw error;
      }
    },
  };
}

function requireRole(caller: Caller, { credential }: Claim, roles?: readonly Role[]): void {
  if (roles === undefined || roles.includes(caller.role)) return;
  const message = `This is for the role ${roles.join(' or ') || 'of nobody'}.`;
  throw new AppError(credential.kind === 'none' ? 'unauthorized' : 'forbidden', message);
}

/** Whether a browser opens this as a page, for a person to look at. */
function isAskedByPerson({ method, headers }: Request): boolean {
  return (method === 'GET' || method === 'HEAD') && headers.accept?.includes('text/html') === true;
}

function refuse(
  req: Request,
  res: Response,
  error: AppError,
  { claim, isPage }: { readonly claim: Claim; readonly isPage: boolean },
): void {
  if (error.code === 'unauthorized') {
    const { credential, isSecure } = claim;
    const isCookie = credential.kind === 'one' && credential.isCookie;
    if (isCookie) res.setHeader('Set-Cookie', clearCookie(isSecure));
    if (isPage) {
      res.setHeader('Cache-Control', 'no-store');
      res.redirect(303, loginTarget(req.originalUrl));
      return;
    }
    res.setHeader('WWW-Authenticate', describeChallenge(credential.kind !== 'none'));
  }
  sendError(res, error);
}

/** RFC 6750, 3: nothing is wrong with a token that was not sent. */
export function describeChallenge(isBad: boolean): string {
  return `Bearer realm="tiercel"${isBad ? ', error="invalid_token"' : ''}`;
}
