"""Style and script of the page `docs`, as constants whose hashes are in the page's Content-Security-Policy."""

CSS = """
:root { color-scheme: light dark; --ground: #fff; --text: #1b1b1b; --line: #8886; --soft: #8881;
  --bad: #b3261e; --link: #0b57d0; }
@media (prefers-color-scheme: dark) { :root { --ground: #121212; --text: #e8e8e8; --bad: #ff8a80; --link: #8ab4f8; } }
* { box-sizing: border-box; }
html { background: var(--ground); color: var(--text); }
body { background: var(--ground); font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem;
  padding: 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
a { color: var(--link); }
code, pre, textarea { font: 0.9rem/1.45 ui-monospace, monospace; overflow-wrap: anywhere; }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: 4px; overflow: auto; padding: 0.75rem;
  white-space: pre-wrap; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
caption { text-align: left; padding-bottom: 0.5rem; }
th, td { border-bottom: 1px solid var(--line); padding: 0.4rem 0.6rem; text-align: left; vertical-align: top; }
label { display: block; font-weight: 600; margin-top: 0.75rem; }
input, textarea { border: 1px solid var(--line); border-radius: 4px; font-size: 0.95rem; padding: 0.5rem; width: 100%; }
textarea { min-height: 12rem; }
button { border: 1px solid var(--line); border-radius: 4px; cursor: pointer; font: inherit; margin-top: 1rem;
  padding: 0.5rem 1.5rem; }
#answer:empty { display: none; }
button:disabled { cursor: wait; opacity: 0.6; }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.bad { color: var(--bad); font-weight: 600; }
"""

SCRIPT = """
(() => {
  "use strict";
  const url = location.origin + location.pathname.replace(/[/]docs[/]?$/, "");
  for (const element of document.querySelectorAll(".url")) element.textContent = url;
  const form = document.getElementById("try");
  const status = document.getElementById("status");
  const answer = document.getElementById("answer");
  const button = form.querySelector("button");
  const show = (text, bad) => { status.textContent = text; status.className = bad ? "bad" : ""; };

  const request = () => {
    const headers = {};
    const key = form.elements.key.value.trim();
    if (key) headers.Authorization = "Bearer " + key;
    const file = form.elements.file && form.elements.file.files[0];
    if (file) {
      headers["Content-Type"] = file.type.startsWith("image/") ? file.type : "application/octet-stream";
      return { method: "POST", headers, body: file };
    }
    headers["Content-Type"] = "application/json";
    JSON.parse(form.elements.body.value);
    return { method: "POST", headers, body: form.elements.body.value };
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    answer.textContent = "";
    let options;
    try { options = request(); } catch (error) { show("The body is not valid JSON: " + error.message, true); return; }
    button.disabled = true;
    show("Waiting for the answer.", false);
    const started = performance.now();
    try {
      const response = await fetch(url, options);
      let text = await response.text();
      let summary = "Status " + response.status + " after " + Math.round(performance.now() - started) + " ms.";
      try {
        const value = JSON.parse(text);
        text = JSON.stringify(value, null, 2);
        const error = value && value.error;
        if (error && error.message) summary += " " + error.message + " Fix: " + error.fix;
      } catch { /* not JSON: shown as it is */ }
      show(summary, !response.ok);
      answer.textContent = text.slice(0, 100000);
    } catch (error) {
      show("The server did not answer: " + error.message, true);
    } finally {
      button.disabled = false;
    }
  });
})();
"""
