/** GET /login: where a person says who he is. No scripts, nothing loaded. */
export function loginPage({
  next,
  problem,
}: {
  readonly next: string;
  readonly problem?: string;
}): string {
  const trouble = problem === undefined ? '' : `\n<p role="alert">${escapeHtml(problem)}</p>`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Log in - Tiercel</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 24rem; margin: 4rem auto; padding: 0 1rem; }
input, button { font: inherit; padding: .4em .6em; box-sizing: border-box; }
input { width: 100%; margin-bottom: .8em; }
[role=alert] { color: #b00020; }
</style>
</head>
<body>
<h1>Log in</h1>${trouble}
<form method="post" action="/login">
<input type="hidden" name="next" value="${escapeHtml(next)}">
<label for="key">API key or token</label>
<input id="key" name="key" type="password" autocomplete="current-password" required autofocus>
<button>Log in</button>
</form>
<form method="post" action="/logout"><p><button>Log out</button></p></form>
</body>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
