// The previous answers in this browser tab, in the tab's session storage: they are gone when it is closed.

const MAX_ENTRIES = 20;

export class History {
  constructor(section) {
    this.section = section;
    this.key = `fastmar:${location.pathname}`;
    section.querySelector("[data-clear]").addEventListener("click", () => { this.save([]); this.draw(); });
    this.draw();
  }

  add(entry, redraw = true) {
    this.save([{ ...entry, at: Date.now() }, ...this.load()].slice(0, MAX_ENTRIES));
    if (redraw) this.draw();
  }

  load() {
    try { return JSON.parse(sessionStorage.getItem(this.key)) ?? []; } catch { return []; }
  }

  save(entries) {
    try { sessionStorage.setItem(this.key, JSON.stringify(entries)); } catch { /* storage is disabled or full: no history */ }
  }

  draw() {
    const entries = this.load();
    this.section.hidden = !entries.length;
    this.section.querySelector("tbody").replaceChildren(...entries.map(tableRow));
  }
}

function tableRow({ text, about = "", link, at }) {
  const row = document.createElement("tr");
  const time = document.createElement("time");
  time.dateTime = new Date(at).toISOString();
  time.textContent = new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const line = document.createElement(link ? "a" : "strong");
  if (link) line.href = link;
  line.textContent = text;
  const below = document.createElement("span");
  below.textContent = about;
  row.append(cell(time), cell(line, ...(about ? [below] : [])));
  return row;
}

function cell(...content) {
  const element = document.createElement("td");
  element.append(...content);
  return element;
}
