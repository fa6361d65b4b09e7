// Shows how an answer differs from the one before: "was 82%", and bars that move.
import { reducedMotion } from "./page.js";

const DURATION = 300; // milliseconds

export class Comparison {
  /** `answer`: the element with the answer. `brief`: a line beside the button, which repeats it. */
  constructor(answer, brief) {
    this.answer = answer;
    this.brief = brief;
    this.base = null; // the answer with which later ones are compared
  }

  /** Compare later answers with the one that is shown now. */
  restart() { this.base = this.read() ?? this.base; }

  /** The shown answer: its headline, and the text and length of each bar by name; null if there is none. */
  read() {
    const headline = this.answer.querySelector(".headline");
    if (!headline) return null;
    const rows = [...this.answer.querySelectorAll(".chart tbody tr")];
    const bars = rows.map((row) => [nameOf(row), { text: valueOf(row).data, length: lengthOf(row) }]);
    return {
      label: headline.querySelector(".headline-label").textContent,
      share: headline.querySelector(".headline-share")?.textContent ?? "",
      bars: new Map(bars),
    };
  }

  /** Mark what has changed in the answer, which has just been replaced; `before` is the previous one. */
  show(before) {
    const now = this.read();
    const text = this.answer.querySelector(".sentence")?.textContent ?? "";
    this.brief.textContent = now ? `${now.label} ${now.share}`.trim() : text;
    if (!now) return;
    this.base ??= before;
    if (this.base) this.mark(now, this.base);
    if (before && !reducedMotion.matches) this.move(before);
  }

  mark(now, { label, share, bars }) {
    const was = now.label === label ? now.share !== share && share : `${label} ${share}`.trim();
    if (was) this.answer.querySelector(".headline [data-was]").textContent = `was ${was}`;
    for (const row of this.answer.querySelectorAll(".chart tbody tr")) {
      const old = bars.get(nameOf(row));
      if (old && old.text !== valueOf(row).data) row.querySelector("[data-was]").textContent = ` was ${old.text}`;
    }
  }

  move({ bars }) {
    for (const row of this.answer.querySelectorAll(".chart tbody tr")) {
      const old = bars.get(nameOf(row))?.length;
      const length = lengthOf(row);
      if (!old || !length || old === length) continue;
      const steps = [{ transform: `scaleX(${old / length})` }, { transform: "none" }];
      row.querySelector(".fill").animate(steps, { duration: DURATION, easing: "ease-out" });
    }
  }
}

function nameOf(row) { return row.querySelector("th").firstChild.data; }
function valueOf(row) { return row.querySelector("td").firstChild; }
function lengthOf(row) { return Number(row.querySelector(".fill")?.getAttribute("width") ?? 0); }
