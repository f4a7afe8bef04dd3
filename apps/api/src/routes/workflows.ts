import type { FirstWorker } from '../first-worker.ts';
import { sendJsonText } from '../http/answer.ts';
import { goneSignal } from '../http/on-closed.ts';
import type { Route } from '../http/route.ts';
import type { BodyExaminer } from '../json/body-examiner.ts';
import { toPayload } from '../json/long-text.ts';
import { readBlocks } from '../json/read-blocks.ts';

export interface WorkflowDependencies {
  readonly examiner: BodyExaminer;
  readonly firstWorker: FirstWorker;
  readonly maxBodyBytes: number;
}

/** What people save, made into what they may post. */
export function createWorkflowRoutes(deps: WorkflowDependencies): Route[] {
  return [
    {
      method: 'POST',
      path: '/workflows/convert',
      prefix: 'api',
      body: 'none',
      async handle(req, res) {
        const body = await readBlocks(req, deps.maxBodyBytes);
        await deps.firstWorker.wait(() => goneSignal(res));
        const contentType = req.headers['content-type'];
        const { status, answerText } = await deps.examiner.examineWorkflow(body, contentType);
        sendJsonText(res, toPayload(answerText), status);
      },
    },
  ];
}
