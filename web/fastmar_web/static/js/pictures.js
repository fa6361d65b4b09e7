// Pictures that are chosen, dropped, pasted or taken: each is sent alone, a few at a time, and has its own card.
import { announce, failure, fill, MAX_RETRIES, send, show, whenReady } from "./page.js";
import { takeDrops, takePastes } from "./files.js";
import { History } from "./history.js";
import { shrink } from "./photo.js";
import { draw, paintBars, Viewer } from "./viewer.js";

const CONCURRENCY = 3;
const MAX_PICTURES = 500;

export function start(part) {
  const form = part.querySelector("form");
  const grid = part.querySelector("[data-grid]");
  const results = document.getElementById("answer");
  const viewer = new Viewer(document.getElementById("viewer"));
  const history = new History(part.querySelector("[data-history]"));
  const buttons = Object.fromEntries(["stop", "save", "clear-pictures"].map((name) => [name, part.querySelector(`[data-${name}]`)]));
  const failures = part.querySelector("[data-failure]");
  const limit = Number(part.dataset.limit);
  let items = [];
  let waiting = [];
  let busy = 0;
  let excess = 0;
  let stopped = new AbortController();

  takeDrops(form, add);
  takePastes(add);
  for (const input of part.querySelectorAll("input[type=file]")) {
    const takeChosen = () => { add([...input.files]); input.value = ""; };
    input.addEventListener("change", takeChosen);
    takeChosen(); // files may be chosen before this script has loaded
  }
  form.addEventListener("submit", (event) => event.preventDefault());
  buttons.stop.addEventListener("click", stop);
  buttons["clear-pictures"].addEventListener("click", clear);
  buttons.save.addEventListener("click", () => save(items));

  function add(files) {
    if (!files.length) return;
    const added = files.slice(0, MAX_PICTURES - items.length).map(card);
    excess += files.length - added.length;
    items.push(...added);
    waiting.push(...added);
    results.hidden = false;
    grid.append(...added.map((item) => item.element));
    show(results);
    work();
    if (excess) reportExcess(); // last, so that no other announcement replaces it
  }

  function reportExcess() {
    const title = excess === 1 ? "1 picture was not added" : `${excess} pictures were not added`;
    const message = `The limit of this page is ${MAX_PICTURES}. “fastmar predict” has no limit.`;
    fill(failures, failure("too_many_pictures", title, message));
    failures.hidden = false;
    announce(`${title}. ${message}`);
  }

  function card(file) {
    const element = part.querySelector("#picture").content.firstElementChild.cloneNode(true);
    const name = file.name || "Picture";
    const item = { file, name, element, text: "", overlay: null, place: element.querySelector("[data-answer]") };
    element.querySelector(".name").textContent = name;
    element.querySelector("[data-larger]").textContent = `Enlarge ${name}`;
    element.querySelector(".thumb").addEventListener("click", () => viewer.open(item));
    element.querySelector("[data-matters-in]").textContent = ` in ${name}`;
    element.querySelector("[data-matters]").addEventListener("click", () => explain(item));
    return item;
  }

  function work() {
    while (busy < CONCURRENCY && waiting.length) {
      busy += 1;
      process(waiting.shift()).finally(() => { busy -= 1; count(); work(); });
    }
    count();
  }

  async function process(item, retries = 0) {
    const { signal } = stopped;
    await preview(item);
    if (item.file.size > limit && !await makeSmaller(item)) {
      const message = `The limit is ${part.dataset.limitText}, and this browser can't make the picture smaller.`;
      return fail(item, "picture_too_large", "Too large", message);
    }
    const body = new FormData();
    body.append("pictures", item.file, item.name);
    let reply;
    try {
      reply = await send(form.action, { method: "POST", body, signal });
    } catch { return fail(item, "stopped", "Stopped."); }
    fill(item.place, reply.html);
    item.failed = Boolean(reply.failed);
    if (reply.failed) {
      if (reply.retry && retries < MAX_RETRIES && !signal.aborted) await retry(item, retries + 1, signal);
      return;
    }
    Object.assign(item, { text: reply.short, cells: reply.cells, overlay: reply.overlay });
    history.add({ text: `${item.name}: ${reply.short}` }, false); // its card shows it
    item.element.querySelector("[data-matters]").hidden = part.dataset.explains !== "yes";
    if (item.note) item.place.append(remark(item.note));
    if (reply.overlay) { paintBars(item.place, item.overlay); await preview(item); }
  }

  /** Ask which parts of the picture matter, and show them over it. */
  async function explain(item) {
    const button = item.element.querySelector("[data-matters]");
    if (!item.overlay?.grid) {
      const body = new FormData();
      body.append("pictures", item.file, item.name);
      body.append("explain", "yes");
      button.disabled = true;
      const reply = await send(form.action, { method: "POST", body });
      button.disabled = false;
      if (reply.failed) return fail(item, reply.code, reply.sentence);
      item.overlay = reply.overlay;
      await preview(item);
    }
    await viewer.open(item);
  }

  /** Send the picture again once the model is ready. */
  function retry(item, retries, signal) {
    return new Promise((done) => {
      const cancel = whenReady(part.dataset.model, item.place, () => process(item, retries).finally(done));
      signal.addEventListener("abort", () => { cancel(); done(); });
    });
  }

  async function preview(item) {
    const thumb = item.element.querySelector(".thumb");
    const seen = await draw(thumb.querySelector("canvas"), item.file, item.overlay).catch(() => false);
    thumb.querySelector(".no-preview").hidden = seen;
    thumb.disabled = !seen;
  }

  /** Shrink the picture to the limit; whether that was possible. */
  async function makeSmaller(item) {
    const smaller = await shrink(item.file, limit);
    if (!smaller) return false;
    item.file = smaller;
    item.note = `Made smaller before it was sent: the limit is ${part.dataset.limitText}.`;
    return true;
  }

  function stop() {
    stopped.abort();
    stopped = new AbortController();
    for (const item of waiting) fail(item, "not_sent", "Not sent.");
    waiting = [];
    count();
  }

  function clear() {
    stop();
    items = [];
    excess = 0;
    failures.hidden = true;
    grid.replaceChildren();
    results.hidden = true;
    form.querySelector("input").focus();
  }

  function count() {
    const left = waiting.length + busy;
    const done = items.length - left;
    const text = left ? `${done} of ${items.length}` : `${items.length} ${items.length === 1 ? "picture" : "pictures"}`;
    part.querySelector("[data-count]").textContent = text;
    buttons.stop.hidden = !left;
    buttons.save.hidden = Boolean(left) || !items.some((item) => item.cells);
    buttons["clear-pictures"].hidden = Boolean(left);
    if (left || !items.length) return;
    const failed = items.filter((item) => item.failed).length;
    announce(items.length === 1 && !failed ? `${items[0].name}: ${items[0].text}`
      : `${items.length - failed} of ${items.length} pictures answered.`);
  }
}

function fail(item, code, title, message = "") {
  fill(item.place, failure(code, title, message));
  item.failed = true;
}

function remark(text) {
  const element = document.createElement("p");
  element.className = "remark";
  element.dataset.code = "made_smaller";
  element.textContent = text;
  return element;
}

/** Download the answers as a CSV file, made in the browser: the server stores nothing. */
function save(items) {
  const rows = items.map(({ name, cells }) => [name, cells?.prediction ?? "", cells?.probability ?? ""]);
  const text = [["picture", "prediction", "probability"], ...rows].map((row) => row.map(cell).join(",")).join("\r\n");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([`\ufeff${text}\r\n`], { type: "text/csv" }));
  link.download = "answers.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** A CSV cell that spreadsheets do not run as a formula. */
function cell(value) {
  const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
