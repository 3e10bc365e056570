/**
 * The page a browser gets for a log link: it follows the log by frames, goes on where it stopped after a cut, and shows
 * colours. Self-contained; its script is page_script.ts. Pure.
 */
import { createHash } from "node:crypto";
import { SCRIPT } from "./page_script.ts";

const STYLE = `
:root { color-scheme: light dark; }
body { margin: 0; font: 13px/1.45 ui-monospace, Menlo, Consolas, monospace; }
header { position: sticky; top: 0; display: flex; gap: 1em; padding: .5em 1em; background: Canvas; border-bottom: 1px solid #8884; }
h1 { font: inherit; font-weight: 600; margin: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
#state { margin-left: auto; opacity: .7; white-space: nowrap; }
pre { margin: 0; padding: .75em 1em 4em; white-space: pre-wrap; overflow-wrap: anywhere; }
.b { font-weight: 600 } .d { opacity: .6 } .u { text-decoration: underline } .i { font-style: italic }
.c31, .c91 { color: #d33 } .c32, .c92 { color: #2a2 } .c33, .c93 { color: #b80 } .c34, .c94 { color: #46f }
.c35, .c95 { color: #b4b } .c36, .c96 { color: #099 } .c30, .c90, .c37, .c97 { opacity: .75 }
`;

/** The document and the Content-Security-Policy under which exactly it works. */
export function logPage(title: string): { html: string; policy: string } {
  const html = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escape(title)}</title><style>${STYLE}</style></head>
<body><header><h1>${escape(title)}</h1><span id="state">connecting</span></header><pre id="log"></pre>
<noscript>This page needs JavaScript; <code>curl</code> shows the log without.</noscript>
<script>${SCRIPT}</script></body></html>
`;
  return { html, policy: POLICY };
}

const POLICY = [
  "default-src 'none'",
  `script-src '${digest(SCRIPT)}'`,
  `style-src '${digest(STYLE)}'`,
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

function digest(text: string): string {
  return `sha256-${createHash("sha256").update(text).digest("base64")}`;
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
