// What every script needs: asking this server, saying something aloud, HTML of this server as nodes, copying.

export const root = document.documentElement.dataset.root;
export const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** The JSON that this server answers with; where there is none, one of the same form that says so. */
export async function send(url, options = {}) {
  try {
    const response = await fetch(url, { ...options, headers: { Accept: "application/json", ...options.headers } });
    return await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    const message = "This web app does not answer. Is it still running?";
    return { failed: true, retry: true, away: true, sentence: message, html: failure("No answer", message) };
  }
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
