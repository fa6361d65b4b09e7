// Adds a search to a select box with many options (ARIA: editable combobox with list). The select box stays in the form
// and holds the value.

import { setProblem } from "./page.js";

const MARGIN = 8; // pixels between the list and what it must not cover
// Heights of a list, in pixels; one that would be smaller than SMALLEST below its field is above it.
const [LEAST, SMALLEST, LARGEST] = [60, 140, 272];

/** `button` is not covered by the open list. */
export function makeCombobox(select, button) {
  const options = [...select.options].map((option) => ({ value: option.value, label: option.label }));
  const input = document.createElement("input");
  const list = document.createElement("ul");
  const box = document.createElement("div");
  let shown = [];
  let active = -1;

  box.className = "combo";
  input.type = "text";
  input.autocomplete = "off";
  input.spellcheck = false;
  input.id = select.id; // so that the label and the messages of the field belong to it
  select.id += "-select";
  list.id = `${input.id}-options`;
  list.hidden = true;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Known values");
  for (const [name, value] of Object.entries({
    role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id,
    "aria-describedby": select.getAttribute("aria-describedby") ?? "",
  })) input.setAttribute(name, value);
  if (select.getAttribute("aria-invalid")) input.setAttribute("aria-invalid", "true");
  select.hidden = true;
  select.before(box);
  box.append(input, list, select);
  showChosen();

  input.addEventListener("focus", () => input.select());
  input.addEventListener("click", () => (list.hidden ? open("") : null));
  input.addEventListener("input", () => {
    if (select.dataset.search === "clearable" && !input.value.trim()) select.value = "";
    open(input.value);
  });
  input.addEventListener("blur", chooseTyped);
  input.addEventListener("keydown", onKey);
  list.addEventListener("mousedown", (event) => event.preventDefault()); // keeps the focus in the input
  list.addEventListener("click", (event) => {
    const at = [...list.children].indexOf(event.target.closest("li"));
    if (shown[at]) choose(shown[at]);
  });
  select.addEventListener("change", showChosen);

  function onKey(event) {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) open("");
      else move(active + (event.key === "ArrowDown" ? 1 : -1));
    } else if (event.key === "Enter" && !list.hidden) {
      event.preventDefault();
      if (shown[active]) choose(shown[active]);
    } else if (event.key === "Escape" && !list.hidden) {
      event.preventDefault();
      close();
      showChosen();
    } else if (event.key === "Tab" && !list.hidden && shown[active] && input.value !== labelOf(select.value)) {
      choose(shown[active]);
    }
  }

  function open(text) {
    shown = search(options, text);
    list.replaceChildren(...(shown.length ? shown.map((option, at) => item(option, at, text)) : [noMatch()]));
    list.hidden = false;
    place();
    input.setAttribute("aria-expanded", "true");
    const chosen = shown.findIndex((option) => option.value === select.value);
    move(text ? 0 : Math.max(0, chosen));
  }

  /** Put the list where it covers neither the button nor the edge of the window. */
  function place() {
    const field = input.getBoundingClientRect();
    const buttonTop = button.getBoundingClientRect().top;
    const bottom = buttonTop >= field.bottom ? Math.min(innerHeight, buttonTop) : innerHeight;
    const space = bottom - field.bottom - 2 * MARGIN;
    const isAbove = space < Math.min(SMALLEST, list.scrollHeight) && field.top > space;
    list.classList.toggle("above", isAbove);
    const height = Math.min(LARGEST, isAbove ? field.top - 2 * MARGIN : space);
    list.style.maxHeight = `${Math.max(LEAST, height)}px`;
  }

  function close() {
    list.hidden = true;
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  function move(to) {
    if (!shown.length) return;
    active = (to + shown.length) % shown.length;
    [...list.children].forEach((each, at) => each.setAttribute("aria-selected", String(at === active)));
    input.setAttribute("aria-activedescendant", list.children[active].id);
    list.children[active].scrollIntoView({ block: "nearest" });
  }

  function choose(option) {
    select.value = option.value;
    close();
    showChosen();
    select.dispatchEvent(new Event("change", { bubbles: true }));
  }

  /** Choose the option that the typed text matches. A text that matches none, or several, stays and can't be sent. */
  function chooseTyped() {
    close();
    const text = input.value.trim();
    if (!text || text === labelOf(select.value)) return showChosen();
    const match = matchFor(options, text);
    if (match) choose(match);
    else setProblem(input, ["No matching category. Choose a known one.", select.dataset.hint].filter(Boolean).join(" "));
  }

  function showChosen() {
    input.value = labelOf(select.value);
    setProblem(input, "");
  }

  function labelOf(value) { return options.find((option) => option.value === value)?.label ?? ""; }

  function item(option, at, text) {
    const element = document.createElement("li");
    element.id = `${list.id}-${at}`;
    element.setAttribute("role", "option");
    const place = text ? option.label.toLowerCase().indexOf(text.trim().toLowerCase()) : -1;
    if (place < 0) element.textContent = option.label;
    else {
      const mark = document.createElement("mark");
      const end = place + text.trim().length;
      mark.textContent = option.label.slice(place, end);
      element.append(option.label.slice(0, place), mark, option.label.slice(end));
    }
    return element;
  }
}

function noMatch() {
  const element = document.createElement("li");
  element.className = "none";
  element.setAttribute("role", "option");
  element.setAttribute("aria-disabled", "true");
  element.textContent = "No matching category. Only known categories can be sent.";
  return element;
}

/** The option with exactly this label; else the only one that ignores case; else the only one that contains the text. */
function matchFor(options, text) {
  const exact = options.find(({ label }) => label === text);
  const same = options.filter(({ label }) => label.toLowerCase() === text.toLowerCase());
  const near = same.length ? same : search(options, text);
  return exact ?? (near.length === 1 ? near[0] : undefined);
}

/** Options that contain the text. Those that begin with it come first, then those with a word that begins with it. */
function search(options, text) {
  const query = text.trim().toLowerCase();
  if (!query) return options;
  const rank = ({ label }) => {
    const at = label.toLowerCase().indexOf(query);
    return at <= 0 ? at : /[\s\-_(]/.test(label[at - 1]) ? 1 : 2;
  };
  return options.filter((option) => rank(option) >= 0).sort((a, b) => rank(a) - rank(b));
}
