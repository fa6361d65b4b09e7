// The previous answers in this browser tab, in the tab's session storage: they are gone when it is closed.

const MAX_ENTRIES = 1000;
const FIRST = 20; // rows that are drawn at first
const MORE = 100; // rows that a click adds: a thousand at once would drop frames

export class History {
  constructor(section) {
    this.section = section;
    this.key = `fastmar:${location.pathname}`;
    this.body = section.querySelector("tbody");
    this.more = section.querySelector("[data-more]");
    this.entries = this.load();
    section.querySelector("[data-clear]").addEventListener("click", () => { this.entries = []; this.save(); this.draw(); });
    this.more.addEventListener("click", () => this.extend());
    this.draw();
  }

  /** Add an answer; not if the last one has the same values and text. */
  add(entry, draw = true) {
    const [last] = this.entries;
    if (entry.link && entry.link === last?.link && entry.text === last.text) return;
    this.entries.unshift({ ...entry, at: Date.now() });
    this.entries.length = Math.min(this.entries.length, MAX_ENTRIES);
    this.save();
    if (!draw) return;
    const rows = this.body.children.length; // an answer does not draw the other rows again
    this.body.prepend(tableRow(this.entries[0]));
    if (rows >= Math.max(FIRST, this.shown)) this.body.lastElementChild.remove();
    this.update();
  }

  load() {
    try { return JSON.parse(sessionStorage.getItem(this.key)) ?? []; } catch { return []; }
  }

  save() {
    try { sessionStorage.setItem(this.key, JSON.stringify(this.entries)); } catch { /* storage is disabled or full: no history */ }
  }

  draw() {
    this.shown = FIRST;
    this.body.replaceChildren(...this.entries.slice(0, FIRST).map(tableRow));
    this.update();
  }

  /** Draw more rows. */
  extend() {
    const rows = this.body.children.length;
    this.body.append(...this.entries.slice(rows, rows + MORE).map(tableRow));
    this.shown = this.body.children.length;
    this.update();
    if (this.more.hidden) this.section.querySelector("[data-clear]").focus(); // a hidden button loses the focus
  }

  update() {
    const left = this.entries.length - this.body.children.length;
    this.section.hidden = !this.entries.length;
    this.more.hidden = left <= 0;
    this.more.textContent = `Show ${Math.min(left, MORE)} more`;
  }
}

function tableRow({ text, about = "", link, at }) {
  const row = document.createElement("tr");
  const time = document.createElement("time");
  time.dateTime = new Date(at).toISOString();
  time.textContent = TIME.format(at);
  const line = document.createElement(link ? "a" : "strong");
  if (link) line.href = link;
  line.textContent = text;
  const below = document.createElement("span");
  below.textContent = about;
  row.append(cell(time), cell(line, ...(about ? [below] : [])));
  return row;
}

const TIME = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }); // one for all rows: making it is slow

function cell(...content) {
  const element = document.createElement("td");
  element.append(...content);
  return element;
}
