// The legend of an overlay: a check box for each class or point, which shows or hides it.
import { colour } from "./overlay.js";

const SVG = "http://www.w3.org/2000/svg";
const MANY = 3; // entries from which there is a button for all

export class Legend {
  /** `onChange` is called when something is hidden or shown. */
  constructor(box, onChange) {
    this.box = box;
    this.list = box.querySelector("ul");
    this.button = box.querySelector("[data-all]");
    this.hidden = new Set(); // numbers of classes or points; kept for the next picture
    this.list.addEventListener("change", ({ target }) => {
      this.hidden[target.checked ? "delete" : "add"](Number(target.value));
      this.update();
      onChange();
    });
    this.button.addEventListener("click", () => {
      const boxes = this.boxes();
      const hide = boxes.some((each) => each.checked);
      for (const each of boxes) { each.checked = !hide; this.hidden[hide ? "add" : "delete"](Number(each.value)); }
      this.update();
      onChange();
    });
  }

  show(classes) {
    this.box.hidden = !classes.length;
    this.list.replaceChildren(...classes.map((each) => entry(each, !this.hidden.has(each.index))));
    this.button.hidden = classes.length < MANY;
    this.update();
  }

  boxes() { return [...this.list.querySelectorAll("input")]; }

  update() { this.button.textContent = this.boxes().some((each) => each.checked) ? "Hide all" : "Show all"; }
}

function entry({ index, name, share }, checked) {
  const element = document.createElement("li");
  const label = document.createElement("label");
  const box = Object.assign(document.createElement("input"), { type: "checkbox", value: index, checked });
  const text = Object.assign(document.createElement("span"), { textContent: name });
  const value = Object.assign(document.createElement("span"), { className: "share-of", textContent: share });
  label.append(box, swatch(index), text, value);
  element.append(label);
  return element;
}

function swatch(index) {
  const svg = document.createElementNS(SVG, "svg");
  const rect = document.createElementNS(SVG, "rect");
  svg.setAttribute("viewBox", "0 0 10 10");
  svg.setAttribute("aria-hidden", "true");
  rect.setAttribute("width", "10");
  rect.setAttribute("height", "10");
  rect.setAttribute("fill", `rgb(${colour(index).join(" ")})`);
  svg.append(rect);
  return svg;
}
