// Shared by all scripts: requests to this server, messages for screen readers, HTML from the server, copying.

export const root = document.documentElement.dataset.root;
export const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

export const MAX_RETRIES = 5; // of a request without an answer

/** Start the parts of the page that name a module. Pages also work without scripts. */
export function startParts(module, start) {
  for (const part of document.querySelectorAll(`[data-module=${module}]`)) start(part);
}

/** Send a request and return the server's JSON, or JSON of the same form that describes the failure. */
export async function send(url, options = {}) {
  let status, text;
  try {
    const response = await fetch(url, { ...options, headers: { Accept: "application/json", ...options.headers } });
    status = response.status;
    text = await response.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    return failedReply("web_app_unreachable", "No answer", "The web app can't be reached. Check that it is running.", true);
  }
  return parseReply(status, text);
}

/** The JSON of a response, or JSON of the same form if a proxy answered in place of the server. */
export function parseReply(status, text) {
  try {
    const reply = JSON.parse(text);
    if ("html" in reply || "ready" in reply) return reply;
  } catch { /* not JSON: a page of a proxy */ }
  if (status === 413) return failedReply("body_too_large", "Too large", "The request is too large. Send less.");
  if (status >= 500) return failedReply("web_app_unavailable", "No answer", `The web app can't be reached now (status ${status}).`, true);
  return failedReply("unexpected_reply", "No answer", "Another server answered, perhaps with a login page. Reload this page.");
}

/** JSON of the same form as the server's, for a failure that the server can't report. */
export function failedReply(code, title, message, retry = false) {
  return { failed: true, retry, code, sentence: `${title}. ${message}`, html: failure(code, title, message) };
}

/** Make screen readers read `text` aloud. */
export function announce(text) {
  const place = document.getElementById("announcer");
  place.textContent = "";
  requestAnimationFrame(() => { place.textContent = text; });
}

/** Replace the content of `element` by HTML from this server, which has escaped it. */
export function fill(element, html) {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  element.replaceChildren(...parsed.body.childNodes);
}

/** The HTML of _error.html, for a failure that the server can't report. */
export function failure(code, title, message) {
  const box = document.createElement("div");
  box.className = "failure";
  box.dataset.code = code;
  const head = document.createElement("h2");
  head.textContent = title;
  const text = document.createElement("p");
  text.textContent = message;
  box.append(head, text);
  return box.outerHTML;
}

/** Mark the text of `input` as invalid, or as valid with an empty `message`. The event "validity" reports a change. */
export function setProblem(input, message) {
  const { validity, validationMessage } = input;
  if ((validity.customError ? validationMessage : "") === message) return; // the browser has messages of its own
  input.setCustomValidity(message);
  input.dispatchEvent(new Event("validity", { bubbles: true }));
}

/** Scroll to `element` if it is not visible. */
export function show(element) {
  const box = element.getBoundingClientRect();
  if (box.top < 0 || box.top > innerHeight * 0.7) {
    element.scrollIntoView({ behavior: reducedMotion.matches ? "auto" : "smooth", block: "start" });
  }
}

/** Call `check` until it returns true, with growing pauses, and not while the page is hidden. Returns a function that cancels it. */
export function poll(check, firstPause = 1500, maxPause = 10000) {
  let pause = firstPause;
  let timer = 0;
  let ended = false;
  const again = async () => {
    if (!document.hidden && await check()) { ended = true; return; }
    pause = Math.min(pause * 1.4, maxPause);
    if (!ended) timer = setTimeout(again, pause);
  };
  timer = setTimeout(again, pause);
  return () => { ended = true; clearTimeout(timer); };
}

/** Whether the server, or one model, is ready. */
export async function isReady(model = "") {
  return (await send(`${root}status?${new URLSearchParams({ model })}`)).ready === true;
}

/** Call `then` once the model is ready, and show a line in `place` until then. Returns a function that cancels it. */
export function whenReady(model, place, then) {
  let cancelled = false;
  const line = document.createElement("p");
  const dot = document.createElement("span");
  line.className = "retrying";
  dot.className = "dot wait";
  dot.setAttribute("aria-hidden", "true");
  line.append(dot, "Trying again automatically");
  place.append(line);
  const cancel = poll(async () => {
    if (!await isReady(model)) return false;
    if (!cancelled) then();
    return true;
  });
  return () => { cancelled = true; cancel(); line.remove(); };
}

async function copy(text, button) {
  let done = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    done = copyWithCommand(text);
  }
  const label = button.firstChild;
  const before = label.textContent;
  label.textContent = done ? "Copied" : "Not copied";
  announce(label.textContent);
  setTimeout(() => { label.textContent = before; }, 1600);
}

/** Copy without the Clipboard API, which browsers offer on secure pages only. */
function copyWithCommand(text) {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "unseen";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.matches("[data-copy]")) copy(button.closest(".snippet").querySelector("code").textContent, button);
  if (button?.matches("[data-copy-link]")) copy(button.closest(".share").querySelector("a").href, button);
});
