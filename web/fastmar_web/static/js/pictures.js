// Pictures: chosen, dropped, pasted or taken; each is asked for alone, a few at a time, and answered on its own card.
import { failure, fill, onceReady, say, send, show, TRIES } from "./page.js";
import { takeDrops, takePastes } from "./files.js";
import { History } from "./history.js";
import { smaller } from "./photo.js";
import { draw, paintBars, Viewer } from "./viewer.js";

const AT_ONCE = 3;
const MOST = 500; // cards: more is for the command line

export function start(part) {
  const form = part.querySelector("form");
  const grid = part.querySelector("[data-grid]");
  const results = document.getElementById("answer");
  const viewer = new Viewer(document.getElementById("viewer"));
  const history = new History(part.querySelector("[data-history]"));
  const buttons = Object.fromEntries(["stop", "save", "clear-pictures"].map((name) => [name, part.querySelector(`[data-${name}]`)]));
  const trouble = part.querySelector("[data-failure]");
  const most = Number(part.dataset.most);
  let items = [];
  let waiting = [];
  let busy = 0;
  let refused = 0;
  let stopped = new AbortController();

  takeDrops(form, add);
  takePastes(add);
  for (const input of part.querySelectorAll("input[type=file]")) {
    const takeChosen = () => { add([...input.files]); input.value = ""; };
    input.addEventListener("change", takeChosen);
    takeChosen(); // on a slow line they may be chosen before this script is there
  }
  form.addEventListener("submit", (event) => event.preventDefault());
  buttons.stop.addEventListener("click", stop);
  buttons["clear-pictures"].addEventListener("click", clear);
  buttons.save.addEventListener("click", () => save(items));

  function add(files) {
    if (!files.length) return;
    const added = files.slice(0, MOST - items.length).map(card);
    refused += files.length - added.length;
    items.push(...added);
    waiting.push(...added);
    results.hidden = false;
    grid.append(...added.map((item) => item.element));
    show(results);
    work();
    if (refused) sayRefused(); // last: nothing is said over it
  }

  function sayRefused() {
    const title = refused === 1 ? "1 picture was not taken" : `${refused} pictures were not taken`;
    const message = `This page takes ${MOST}. For more, use “fastmar predict”, which takes any number.`;
    fill(trouble, failure(title, message));
    trouble.hidden = false;
    say(`${title}. ${message}`);
  }

  function card(file) {
    const element = part.querySelector("#picture").content.firstElementChild.cloneNode(true);
    const name = file.name || "Picture";
    const item = { file, name, element, text: "", overlay: null, place: element.querySelector("[data-answer]") };
    element.querySelector(".name").textContent = name;
    element.querySelector("[data-larger]").textContent = `Look at ${name} larger`;
    element.querySelector(".thumb").addEventListener("click", () => viewer.open(item));
    return item;
  }

  function work() {
    while (busy < AT_ONCE && waiting.length) {
      busy += 1;
      one(waiting.shift()).finally(() => { busy -= 1; count(); work(); });
    }
    count();
  }

  async function one(item, tries = 0) {
    const { signal } = stopped;
    await preview(item);
    if (item.file.size > most && !await shrink(item)) {
      return failed(item, "Too large", `It is over ${part.dataset.mostText}, and this browser can't make it smaller.`);
    }
    const body = new FormData();
    body.append("pictures", item.file, item.name);
    let reply;
    try {
      reply = await send(form.action, { method: "POST", body, signal });
    } catch { return failed(item, "Stopped."); }
    fill(item.place, reply.html);
    item.failed = Boolean(reply.failed);
    if (reply.failed) {
      if (reply.retry && tries < TRIES && !signal.aborted) await again(item, tries + 1, signal);
      return;
    }
    Object.assign(item, { text: reply.short, cells: reply.cells, overlay: reply.overlay });
    history.add({ text: `${item.name}: ${reply.short}` }, false); // it stands on its card
    if (item.note) item.place.append(remark(item.note));
    if (reply.overlay) { paintBars(item.place, item.overlay); await preview(item); }
  }

  /** The server was away: the picture is asked for again once it is back. */
  function again(item, tries, signal) {
    return new Promise((done) => {
      const cancel = onceReady(part.dataset.model, item.place, () => one(item, tries).finally(done));
      signal.addEventListener("abort", () => { cancel(); done(); });
    });
  }

  async function preview(item) {
    const thumb = item.element.querySelector(".thumb");
    const seen = await draw(thumb.querySelector("canvas"), item.file, item.overlay).catch(() => false);
    thumb.querySelector(".no-preview").hidden = seen;
    thumb.disabled = !seen;
  }

  /** Whether the picture could be made as small as it has to be. */
  async function shrink(item) {
    const made = await smaller(item.file, most);
    if (!made) return false;
    item.file = made;
    item.note = `Made smaller before it was sent: it was over ${part.dataset.mostText}.`;
    return true;
  }

  function stop() {
    stopped.abort();
    stopped = new AbortController();
    for (const item of waiting) failed(item, "Not asked.");
    waiting = [];
    count();
  }

  function clear() {
    stop();
    items = [];
    refused = 0;
    trouble.hidden = true;
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
    say(items.length === 1 && !failed ? `${items[0].name}: ${items[0].text}`
      : `${items.length - failed} of ${items.length} pictures answered.`);
  }
}

function failed(item, title, message = "") {
  fill(item.place, failure(title, message));
  item.failed = true;
}

function remark(text) {
  const made = document.createElement("p");
  made.className = "remark";
  made.textContent = text;
  return made;
}

/** The answers as a CSV file, made here: nothing is kept on the server. */
function save(items) {
  const rows = items.map(({ name, cells }) => [name, cells?.prediction ?? "", cells?.probability ?? ""]);
  const text = [["picture", "prediction", "probability"], ...rows].map((row) => row.map(cell).join(",")).join("\r\n");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([`\ufeff${text}\r\n`], { type: "text/csv" }));
  link.download = "answers.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** A cell that no spreadsheet takes for a formula. */
function cell(value) {
  const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
