// Shows one picture enlarged, with its mask or points. A slider sets the opacity of the mask.
import { colour, drawGrid, drawMask, drawPoints, maskOf } from "./overlay.js";
import { canvasOf, openPicture } from "./photo.js";

const LARGE = 1600;
const SMALL = 480;
const MIN_SCALE = 0.6; // of these sizes: smaller pictures are enlarged

/** Draw a picture with the overlay of its answer; returns whether the browser can read it. */
export async function draw(canvas, file, overlay) {
  const loaded = await load(file, overlay);
  if (!loaded) return false;
  paint(canvas, loaded, overlay, SMALL, 0.55);
  loaded.bitmap.close();
  return true;
}

async function load(file, overlay) {
  const mask = overlay?.mask ? await maskOf(overlay) : null;
  const raw = await openPicture(file, Boolean(overlay) && overlay.raw !== false);
  if (!raw || !mask || (raw.width === overlay.width && raw.height === overlay.height)) return raw && { bitmap: raw, mask };
  const turned = await openPicture(file, false); // the model uses the EXIF orientation
  const fits = turned.width === overlay.width && turned.height === overlay.height;
  return { bitmap: fits ? turned : raw, mask };
}

function paint(canvas, { bitmap, mask }, overlay, maximum, opacity) {
  canvasOf(bitmap, maximum, canvas, maximum * MIN_SCALE);
  if (mask) drawMask(canvas, mask, overlay, opacity);
  if (overlay?.grid) drawGrid(canvas, overlay, bitmap.width, opacity);
  if (overlay?.points) drawPoints(canvas, overlay.points, bitmap.width);
}

export class Viewer {
  constructor(dialog) {
    this.dialog = dialog;
    this.canvas = dialog.querySelector("canvas");
    this.slider = dialog.querySelector("input[type=range]");
    dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
    this.slider.addEventListener("input", () => this.redraw());
  }

  async open(item) {
    this.item = item;
    this.dialog.querySelector("h2").textContent = item.name;
    this.canvas.setAttribute("aria-label", `${item.name}: ${item.text}`);
    const classes = item.overlay?.classes ?? [];
    this.slider.closest("label").hidden = !item.overlay?.mask && !item.overlay?.grid;
    const unseen = item.overlay?.unseen == null ? [] : [plainItem("Dark: outside the model's input")];
    this.dialog.querySelector(".legend").replaceChildren(...classes.map(legendItem), ...unseen);
    this.loaded?.bitmap.close();
    this.loaded = await load(item.file, item.overlay);
    this.redraw();
    if (!this.dialog.open) this.dialog.showModal();
  }

  redraw() {
    if (this.loaded) paint(this.canvas, this.loaded, this.item.overlay, LARGE, Number(this.slider.value) / 100);
  }
}

/** Colour the bars of an answer like the classes of its mask. */
export function paintBars(place, overlay) {
  const fills = place.querySelectorAll(".fill");
  (overlay?.classes ?? []).forEach(({ index }, at) => { if (fills[at]) fills[at].style.fill = `rgb(${colour(index).join(" ")})`; });
}

function plainItem(text) {
  const element = document.createElement("li");
  element.textContent = text;
  return element;
}

function legendItem({ index, name, share }) {
  const element = document.createElement("li");
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  svg.setAttribute("viewBox", "0 0 10 10");
  svg.setAttribute("aria-hidden", "true");
  rect.setAttribute("width", "10");
  rect.setAttribute("height", "10");
  rect.setAttribute("fill", `rgb(${colour(index).join(" ")})`);
  svg.append(rect);
  element.append(svg, `${name} ${share}`);
  return element;
}
