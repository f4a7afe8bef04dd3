/** GET /: tells a person who opens the server in a browser what it is. No scripts, nothing loaded. */
export const HOME_PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tiercel</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 4rem auto; padding: 0 1rem; }
code { background: #8882; padding: 0 .25em; border-radius: 3px; }
</style>
</head>
<body>
<h1>Tiercel</h1>
<p>This is an image-job server that speaks ComfyUI's protocol. Point a ComfyUI client or frontend at this address.</p>
<ul>
<li><a href="queue">Queue</a>: what is running and waiting</li>
<li><a href="history?max_items=20">History</a>: the last 20 jobs</li>
<li><a href="system_stats">System</a>: versions and devices</li>
<li><a href="object_info">Nodes</a>: what a prompt may use</li>
</ul>
<p>Jobs go to <code>POST /prompt</code>, events come from <code>/ws</code>.</p>
</body>
</html>
`;
