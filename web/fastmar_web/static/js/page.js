// What every script needs: asking this server, saying something aloud, HTML of this server as nodes, copying.

export const root = document.documentElement.dataset.root;
export const calm = matchMedia("(prefers-reduced-motion: reduce)");

export const TRIES = 5; // how often a page sends again by itself what was not answered

/** The JSON that this server answers with; where there is none, one of the same form that says so. */
export async function send(url, options = {}) {
  let status, text;
  try {
    const response = await fetch(url, { ...options, headers: { Accept: "application/json", ...options.headers } });
    status = response.status;
    text = await response.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    return unanswered("No answer", "This web app does not answer. Is it still running?", true);
  }
  return replied(status, text);
}

/** The JSON in an answer; where something between this page and its server gave the answer, one that says so. */
export function replied(status, text) {
  try {
    const reply = JSON.parse(text);
    if ("html" in reply || "ready" in reply) return reply;
  } catch { /* a page for people, of a proxy */ }
  if (status === 413) return unanswered("Too large", "This is more than can be sent at once. Send less.");
  if (status >= 500) return unanswered("No answer", `This web app can't be reached now (status ${status}).`, true);
  return unanswered("No answer", "Something else answered, a log-in page perhaps. Reload this page.");
}

/** What there is instead of this server's JSON. */
export function unanswered(title, message, retry = false) {
  return { failed: true, retry, sentence: `${title}. ${message}`, html: failure(title, message) };
}

/** Reads `text` to a screen reader. */
export function say(text) {
  const place = document.getElementById("said");
  place.textContent = "";
  requestAnimationFrame(() => { place.textContent = text; });
}

/** Puts HTML that this server wrote, and escaped, in place of what is in `element`. */
export function fill(element, html) {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  element.replaceChildren(...parsed.body.childNodes);
}

/** The same look as _error.html, for what the server can't say itself. */
export function failure(title, message) {
  const box = document.createElement("div");
  box.className = "failure";
  const head = document.createElement("h2");
  head.textContent = title;
  const text = document.createElement("p");
  text.textContent = message;
  box.append(head, text);
  return box.outerHTML;
}

/** Brings `element` into view where it is not. */
export function show(element) {
  const box = element.getBoundingClientRect();
  if (box.top < 0 || box.top > innerHeight * 0.7) {
    element.scrollIntoView({ behavior: calm.matches ? "auto" : "smooth", block: "start" });
  }
}

/** Calls `check` again and again until it is true; less often as time goes by, and not while nobody looks. */
export function until(check, soonest = 1500, latest = 10000) {
  let pause = soonest;
  let timer = 0;
  let over = false;
  const again = async () => {
    if (!document.hidden && await check()) { over = true; return; }
    pause = Math.min(pause * 1.4, latest);
    if (!over) timer = setTimeout(again, pause);
  };
  timer = setTimeout(again, pause);
  return () => { over = true; clearTimeout(timer); };
}

/** Whether the server, or one model, answers now. */
export async function isReady(model = "") {
  return (await send(`${root}status?${new URLSearchParams({ model })}`)).ready === true;
}

/** Does `then` once the model answers, and says in `place` that it will; the value puts an end to that. */
export function onceReady(model, place, then) {
  let over = false;
  const line = document.createElement("p");
  const dot = document.createElement("span");
  line.className = "retrying";
  dot.className = "dot wait";
  dot.setAttribute("aria-hidden", "true");
  line.append(dot, "Trying again by itself");
  place.append(line);
  const cancel = until(async () => {
    if (!await isReady(model)) return false;
    if (!over) then();
    return true;
  });
  return () => { over = true; cancel(); line.remove(); };
}

async function copy(text, button) {
  let done = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    done = copyOldWay(text);
  }
  const label = button.firstChild;
  const before = label.textContent;
  label.textContent = done ? "Copied" : "Not copied";
  say(label.textContent);
  setTimeout(() => { label.textContent = before; }, 1600);
}

/** The clipboard's own interface is there on secure pages alone. */
function copyOldWay(text) {
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
