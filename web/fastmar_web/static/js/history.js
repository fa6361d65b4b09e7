// What was asked before in this browser tab: kept by the browser until the tab is closed, and nowhere else.

const MOST = 20;

export class History {
  constructor(section) {
    this.section = section;
    this.key = `fastmar:${location.pathname}`;
    section.querySelector("[data-clear]").addEventListener("click", () => { this.save([]); this.draw(); });
    this.draw();
  }

  add(entry, seen = true) {
    this.save([{ ...entry, at: Date.now() }, ...this.load()].slice(0, MOST));
    if (seen) this.draw();
  }

  load() {
    try { return JSON.parse(sessionStorage.getItem(this.key)) ?? []; } catch { return []; }
  }

  save(entries) {
    try { sessionStorage.setItem(this.key, JSON.stringify(entries)); } catch { /* switched off, or full: then without */ }
  }

  draw() {
    const entries = this.load();
    this.section.hidden = !entries.length;
    this.section.querySelector("ol").replaceChildren(...entries.map(drawn));
  }
}

function drawn({ text, about = "", link, at }) {
  const made = document.createElement("li");
  const line = document.createElement(link ? "a" : "strong");
  if (link) line.href = link;
  line.textContent = text;
  const below = document.createElement("span");
  const time = document.createElement("time");
  time.dateTime = new Date(at).toISOString();
  time.textContent = new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  below.append(time, about && ` · ${about}`);
  made.append(line, below);
  return made;
}
