/** The script of page.ts, as text: frames in (api/frames.ts), coloured lines out. Runs in browsers, not here. */

export const SCRIPT = `
"use strict";
const log = document.getElementById("log"), state = document.getElementById("state");
const query = new URLSearchParams(location.search);
query.set("format", "frames");
query.delete("download"); query.delete("compress");
let offset = null, classes = "", ended = false;
const decoder = new TextDecoder();

function colours(codes) {
  for (const code of codes.split(";").map(Number)) {
    const old = new Set(classes.split(" ").filter(Boolean));
    if (code === 0) old.clear();
    else if (code === 1) old.add("b"); else if (code === 2) old.add("d");
    else if (code === 3) old.add("i"); else if (code === 4) old.add("u");
    else if (code === 22) { old.delete("b"); old.delete("d"); }
    else if ((code >= 30 && code <= 39) || (code >= 90 && code <= 97)) {
      for (const one of old) if (one[0] === "c") old.delete(one);
      if (code !== 39) old.add("c" + code);
    }
    classes = [...old].join(" ");
  }
}
function show(text) {
  const below = innerHeight + scrollY >= document.body.scrollHeight - 40;
  const parts = text.split(/\\x1b\\[([0-9;]*)([A-Za-z])/);
  for (let i = 0; i < parts.length; i += 3) {
    if (parts[i] !== "") {
      const span = document.createElement("span");
      span.className = classes;
      span.textContent = parts[i].replace(/\\r\\n/g, "\\n").replace(/\\r/g, "\\n");
      log.append(span);
    }
    if (parts[i + 2] === "m") colours(parts[i + 1] || "0");
  }
  if (below) scrollTo(0, document.body.scrollHeight);
}
function frame(kind, at, body) {
  offset = kind === "data" ? at + body.length : at;
  if (kind === "data") show(decoder.decode(body, { stream: true }));
  else if (kind === "status") {
    const { message } = JSON.parse(new TextDecoder().decode(body));
    state.textContent = message === null ? "live" : message.replace(/\\[\\/?[a-z ]*\\]/g, "");
  } else if (kind === "end") {
    ended = true;
    state.textContent = JSON.parse(new TextDecoder().decode(body)).status.toLowerCase();
  }
}
async function follow() {
  if (offset !== null) { query.set("offset", String(offset)); query.delete("tail"); }
  const response = await fetch(location.pathname + "?" + query);
  if (!response.ok) {
    ended = true;
    const { detail } = await response.json();
    state.textContent = String(detail);
    return;
  }
  state.textContent = "live";
  const reader = response.body.getReader();
  let bytes = new Uint8Array();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const more = new Uint8Array(bytes.length + value.length);
    more.set(bytes); more.set(value, bytes.length);
    bytes = more;
    for (;;) {
      const newline = bytes.indexOf(10);
      if (newline < 0) break;
      const [kind, at, length] = new TextDecoder().decode(bytes.subarray(0, newline)).split(" ");
      const end = newline + 1 + Number(length);
      if (bytes.length < end) break;
      frame(kind, Number(at), bytes.slice(newline + 1, end));
      bytes = bytes.slice(end);
    }
  }
}
(async () => {
  for (let pause = 500; !ended; pause = Math.min(pause * 2, 5000)) {
    try { const before = offset; await follow(); if (offset !== before) pause = 500; } catch (error) { console.error(error); }
    if (ended) break;
    state.textContent = "reconnecting";
    await new Promise((wake) => setTimeout(wake, pause));
  }
})();
`;
