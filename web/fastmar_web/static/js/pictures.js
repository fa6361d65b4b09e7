// Pictures that are chosen, dropped, pasted or taken: each is sent alone, a few at a time, and has its own card.
import { announce, failure, fill, MAX_RETRIES, send, show, startParts, whenReady } from "./page.js";
import { Arrangement } from "./arrange.js";
import { pictureOf, takeClipboard, takeDrops, takePastes } from "./files.js";
import { History } from "./history.js";
import { shrink } from "./photo.js";
import { Previews } from "./previews.js";
import { saveAnswers } from "./save.js";
import { paintBars, Viewer } from "./viewer.js";

const CONCURRENCY = 3;
const MAX_PICTURES = 500;
const MANY = 24; // pictures from which cards are small

function start(part) {
  const form = part.querySelector("form");
  const grid = part.querySelector("[data-grid]");
  const results = document.getElementById("answer");
  const previews = new Previews();
  const arrangement = new Arrangement(part.querySelector("[data-arrange]"), grid, arrange);
  const viewer = new Viewer(document.getElementById("viewer"), () => shown);
  const history = new History(part.querySelector("[data-history]"));
  const buttons = Object.fromEntries(["stop", "save", "clear-pictures"].map((name) => [name, part.querySelector(`[data-${name}]`)]));
  const progress = part.querySelector("[data-progress]");
  const failures = part.querySelector("[data-failure]");
  const limit = Number(part.dataset.limit);
  let items = []; // as added
  let shown = items; // those that pass the filters, in their order
  let waiting = [];
  let busy = 0;
  let excess = 0;
  let stopped = new AbortController();

  takeDrops(form, add, addText);
  takePastes(add, addText);
  takeClipboard(form.querySelector("[data-paste]"), add, addText);
  for (const input of part.querySelectorAll("input[type=file]")) {
    const takeChosen = () => { add([...input.files]); input.value = ""; };
    input.addEventListener("change", takeChosen);
    takeChosen(); // files may be chosen before this script has loaded
  }
  for (const button of form.querySelectorAll("[data-sample]")) button.addEventListener("click", () => addSample(button.querySelector("img")));
  form.addEventListener("submit", (event) => event.preventDefault());
  buttons.stop.addEventListener("click", () => { stop(); results.focus(); });
  buttons["clear-pictures"].addEventListener("click", clear);
  buttons.save.addEventListener("click", () => saveAnswers(items));

  function add(files) {
    if (!files.length) return;
    if (!items.length) grid.replaceChildren(); // answers of a form that was sent before this script had loaded
    failures.hidden = true;
    const added = files.slice(0, MAX_PICTURES - items.length).map(card);
    excess += files.length - added.length;
    items.push(...added);
    waiting.push(...added);
    form.classList.add("small");
    grid.classList.toggle("dense", items.length > MANY);
    results.hidden = false;
    grid.append(...added.map((item) => item.element));
    added.forEach((item) => previews.watch(item));
    arrangement.reset();
    arrange();
    show(results);
    work();
    if (excess) reportExcess(); // last, so that no other announcement replaces it
  }

  async function addSample({ src, alt }) {
    const response = await fetch(src).catch(() => null);
    if (!response?.ok) return report("sample_not_loaded", "No answer", "The sample can't be loaded now. Reload this page.");
    add([new File([await response.blob()], `${alt}.jpg`, { type: "image/jpeg" })]);
  }

  function addText(text) {
    const picture = pictureOf(text);
    if (picture) return add([picture]);
    const isLink = /^https?:/i.test(text.trim());
    const [code, title, message] = isLink
      ? ["link_pasted", "This is a link", "This page loads nothing from other addresses. Save the picture, then choose its file."]
      : ["no_picture_pasted", "No picture", "The clipboard has no picture that this page can read. Copy a picture, or choose its file."];
    report(code, title, message);
  }

  function reportExcess() {
    const title = excess === 1 ? "1 picture was not added" : `${excess} pictures were not added`;
    report("too_many_pictures", title, `The limit of this page is ${MAX_PICTURES}. “fastmar predict” has no limit.`);
  }

  /** Show a failure that belongs to no picture. */
  function report(code, title, message) {
    fill(failures, failure(code, title, message));
    failures.hidden = false;
    show(failures);
    announce(`${title}. ${message}`);
  }

  function card(file) {
    const element = part.querySelector("#picture").content.firstElementChild.cloneNode(true);
    const name = file.name || "Picture";
    const item = {
      file, name, element, text: "", error: "", labels: [], confidence: null, overlay: null, isWaiting: true, isRemoved: false,
      place: element.querySelector("[data-answer]"),
    };
    element.querySelector(".name").textContent = name;
    element.querySelector("[data-larger]").textContent = `Enlarge ${name}`;
    element.querySelector(".thumb").addEventListener("click", () => viewer.open(item));
    element.querySelector("[data-matters-in]").textContent = ` in ${name}`;
    element.querySelector("[data-matters]").addEventListener("click", () => explain(item));
    element.querySelector("[data-remove-name]").textContent = ` ${name}`;
    element.querySelector("[data-remove]").addEventListener("click", () => remove(item));
    return item;
  }

  function work() {
    while (busy < CONCURRENCY && waiting.length) {
      busy += 1;
      const item = waiting.shift();
      process(item).finally(() => { busy -= 1; item.isWaiting = false; count(); work(); });
    }
    count();
  }

  async function process(item, retries = 0) {
    const { signal } = stopped;
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
    item.failed = Boolean(reply.failed);
    if (reply.failed) {
      fill(item.place, reply.html);
      item.error = reply.error ?? reply.sentence;
      if (reply.retry && retries < MAX_RETRIES && !signal.aborted && !item.isRemoved) await retry(item, retries + 1, signal);
      return;
    }
    const { short: text, cells, overlay, labels, confidence } = reply;
    Object.assign(item, { text, cells, overlay, labels, confidence, error: "" });
    if (item.isRemoved) return;
    if (overlay) await previews.redraw(item); // before its answer, so that the two appear together
    fill(item.place, reply.html);
    history.add({ text: `${item.name}: ${text}` }, false); // its card shows it
    item.element.querySelector("[data-matters]").hidden = part.dataset.explains !== "yes";
    if (item.note) item.place.append(remark(item.note));
    if (overlay) paintBars(item.place, overlay);
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
      await previews.redraw(item);
    }
    await viewer.open(item);
  }

  /** Send the picture again once the model is ready. */
  function retry(item, retries, signal) {
    return new Promise((done) => {
      const cancel = whenReady(part.dataset.model, item.place, () => process(item, retries).finally(done));
      item.cancel = () => { cancel(); done(); };
      signal.addEventListener("abort", item.cancel);
    });
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
    for (const item of waiting) { fail(item, "not_sent", "Not sent."); item.isWaiting = false; }
    waiting = [];
    count();
  }

  /** Remove one picture; the focus goes to the next one. */
  function remove(item) {
    const at = shown.indexOf(item);
    item.isRemoved = true;
    item.cancel?.();
    previews.forget(item);
    item.element.remove();
    items = items.filter((each) => each !== item);
    waiting = waiting.filter((each) => each !== item);
    if (!items.length) return clear();
    grid.classList.toggle("dense", items.length > MANY);
    arrange();
    count();
    announce(`${item.name} removed.`);
    const next = shown[Math.min(at, shown.length - 1)];
    (next?.element.querySelector("[data-remove]") ?? results).focus();
  }

  function clear() {
    stop();
    previews.clear();
    items = [];
    shown = items;
    excess = 0;
    failures.hidden = true;
    grid.replaceChildren();
    results.hidden = true;
    form.classList.remove("small");
    form.querySelector("input").focus();
  }

  /** Apply the filters and the order, which the user has changed. */
  function arrange() { shown = arrangement.apply(items); }

  function count() {
    const left = items.filter((item) => item.isWaiting).length;
    const done = items.length - left;
    const text = left ? `${done} of ${items.length}` : `${items.length} ${items.length === 1 ? "picture" : "pictures"}`;
    part.querySelector("[data-count]").textContent = text;
    Object.assign(progress, { hidden: !left || items.length < 2, value: done, max: Math.max(1, items.length) });
    buttons.stop.hidden = !left;
    buttons.save.hidden = Boolean(left) || !items.some((item) => item.cells);
    buttons["clear-pictures"].hidden = Boolean(left);
    if (left || !items.length) return;
    arrangement.offer(items);
    const failed = items.filter((item) => item.failed).length;
    announce(items.length === 1 && !failed ? `${items[0].name}: ${items[0].text}`
      : `${items.length - failed} of ${items.length} pictures answered.`);
  }
}

function fail(item, code, title, message = "") {
  fill(item.place, failure(code, title, message));
  item.failed = true;
  item.error = `${title} ${message}`.trim();
}

function remark(text) {
  const element = document.createElement("p");
  element.className = "remark";
  element.dataset.code = "made_smaller";
  element.textContent = text;
  return element;
}

startParts("pictures", start);
