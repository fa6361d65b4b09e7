// Shows one picture enlarged, with its answer and its mask or points: an opacity, a legend, the previous and next picture.
import { colour, drawGrid, drawMask, drawPoints, maskOf } from "./overlay.js";
import { Legend } from "./legend.js";
import { canvasOf, openPicture } from "./photo.js";

const LARGE = 1600;
const SMALL = 480;
const MIN_SCALE = 0.6; // of these sizes: smaller pictures are enlarged
const OPACITY = 0.55; // on cards
const NONE = new Set();

/** Draw a picture with the overlay of its answer; returns whether the browser can read it. */
export async function draw(canvas, file, overlay) {
  const loaded = await load(file, overlay);
  if (!loaded) return false;
  paint(canvas, loaded, overlay, { size: SMALL, opacity: OPACITY, hidden: NONE });
  loaded.bitmap.close();
  return true;
}

async function load(file, overlay) {
  const mask = overlay?.mask ? await maskOf(overlay) : null;
  const bitmap = await openPicture(file, Boolean(overlay) && overlay.raw !== false);
  return bitmap && { bitmap, mask };
}

function paint(canvas, { bitmap, mask }, overlay, { size, opacity, hidden }) {
  canvasOf(bitmap, size, canvas, size * MIN_SCALE);
  if (mask) drawMask(canvas, mask, overlay, opacity, hidden);
  if (overlay?.grid) drawGrid(canvas, overlay, bitmap.width, opacity, hidden);
  if (overlay?.points) drawPoints(canvas, overlay, bitmap.width, hidden, size === LARGE);
}

export class Viewer {
  /** `shown` returns the items in the order of the page. */
  constructor(dialog, shown) {
    this.dialog = dialog;
    this.shown = shown;
    this.canvas = dialog.querySelector("canvas");
    this.slider = dialog.querySelector("input[type=range]");
    this.steps = [["[data-previous]", -1], ["[data-next]", 1]].map(([selector, step]) => [dialog.querySelector(selector), step]);
    this.legend = new Legend(dialog.querySelector(".legend-box"), () => this.redraw());
    for (const [button, step] of this.steps) button.addEventListener("click", () => this.step(step));
    dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
    dialog.addEventListener("close", () => { if (this.item !== this.first) this.item.element.querySelector(".thumb").focus(); });
    dialog.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (step && event.target !== this.slider) { event.preventDefault(); this.step(step); }
    });
    this.slider.addEventListener("input", () => this.redraw());
    addEventListener("resize", () => this.redraw());
  }

  async open(item) {
    this.item = item;
    const loaded = await load(item.file, item.overlay);
    if (this.item !== item) return loaded?.bitmap.close(); // another one was opened meanwhile
    this.loaded?.bitmap.close();
    this.loaded = loaded;
    this.describe(item);
    if (!this.dialog.open) {
      this.first = item; // whose button gets the focus back
      this.dialog.showModal();
    }
    this.redraw(); // last, because the size of dots depends on that of the dialog
  }

  /** Open the picture that is `step` places further in the list. */
  step(step) {
    const next = this.shown()[this.shown().indexOf(this.item) + step];
    if (next) this.open(next);
  }

  describe(item) {
    const { overlay } = item;
    const items = this.shown();
    const at = items.indexOf(item);
    const answer = [...item.place.cloneNode(true).children];
    this.dialog.querySelector("h2").textContent = item.name;
    this.dialog.querySelector("[data-position]").textContent = items.length > 1 ? `${at + 1} of ${items.length}` : "";
    for (const [button, step] of this.steps) {
      button.hidden = items.length < 2;
      button.setAttribute("aria-disabled", !items[at + step]); // not disabled, which would lose the focus
    }
    this.canvas.setAttribute("aria-label", `${item.name}: ${item.text}`);
    const isLegend = Boolean(overlay?.mask || overlay?.points); // which has the numbers of the chart
    this.dialog.querySelector("[data-viewer-answer]").replaceChildren(
      ...answer.filter((part) => !isLegend || !part.matches(".chart, .help")));
    this.slider.closest("label").hidden = !overlay?.mask && !overlay?.grid;
    this.legend.show(overlay?.classes ?? []);
    const unreadable = this.loaded ? "" : "This browser can't show the picture.";
    this.dialog.querySelector("[data-note]").textContent = unreadable || (overlay?.unseen == null ? "" : "Dark: outside the model's input.");
    this.canvas.hidden = !this.loaded;
  }

  redraw() {
    const opacity = Number(this.slider.value) / 100;
    if (this.loaded && this.dialog.open) paint(this.canvas, this.loaded, this.item.overlay, { size: LARGE, opacity, hidden: this.legend.hidden });
  }
}

/** Colour the bars of an answer like the classes of its mask. */
export function paintBars(place, overlay) {
  const fills = place.querySelectorAll(".fill");
  (overlay?.classes ?? []).forEach(({ index }, at) => { if (fills[at]) fills[at].style.fill = `rgb(${colour(index).join(" ")})`; });
}
