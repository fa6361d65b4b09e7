// The form of values: only the answer is exchanged; the server says the same as it does without scripts.
import { fill, isReady, say, send, show, until } from "./page.js";
import { makeCombobox } from "./combobox.js";
import { History } from "./history.js";

export function start(part) {
  const form = part.querySelector("form");
  const answer = part.querySelector("[data-answer]");
  const card = document.getElementById("answer");
  const button = form.querySelector("button[type=submit]");
  const history = new History(part.querySelector("[data-history]"));
  let stopWaiting = () => {};
  let asked = 0;

  form.noValidate = true; // the server says it beside the field
  for (const select of form.querySelectorAll("select[data-search]")) makeCombobox(select);
  for (const input of form.querySelectorAll("input[data-nudge]")) input.addEventListener("keydown", nudge);

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });

  async function ask(focus = true) {
    const number = ++asked;
    stopWaiting();
    card.setAttribute("aria-busy", "true");
    button.setAttribute("aria-disabled", "true");
    const reply = await send(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
    if (number !== asked) return; // another one was asked since
    card.removeAttribute("aria-busy");
    button.removeAttribute("aria-disabled");
    fill(answer, reply.html);
    mark(form, reply.fields ?? {});
    say(reply.sentence);
    if (reply.failed) {
      if (reply.retry) stopWaiting = until(() => recovered(part.dataset.model, () => ask(false)));
      if (focus) (form.querySelector("[aria-invalid=true]") ?? card).focus();
      return;
    }
    history.add({ text: reply.sentence, link: reply.link, about: changed(form) });
    show(card);
  }
}

async function recovered(model, then) {
  if (!await isReady(model)) return false;
  then();
  return true;
}

/** What differs from the form as it was opened. */
function changed(form) {
  const found = [...form.elements].filter((control) => control.name && textOf(control) !== openedWith(control));
  return found.map((control) => `${titleOf(control)} ${textOf(control) || "empty"}`).join(", ") || "as the form was opened";
}

function textOf(control) { return control.options ? control.selectedOptions[0]?.label ?? "" : control.value; }
function openedWith(control) {
  return control.options ? [...control.options].find((option) => option.defaultSelected)?.label ?? "" : control.defaultValue;
}
function titleOf(control) { return control.closest(".field").querySelector("label").textContent.trim(); }

/** Puts what is said of each field beside it. */
function mark(form, fields) {
  for (const place of form.querySelectorAll(".said")) {
    const id = place.id.replace(/-said$/, "");
    const { problem, remarks = [] } = fields[id] ?? {};
    place.replaceChildren(...(problem ? [line("problem", problem)] : []), ...remarks.map((text) => line("remark", text)));
    const control = document.getElementById(id);
    if (problem) control.setAttribute("aria-invalid", "true");
    else control.removeAttribute("aria-invalid");
  }
}

function line(kind, text) {
  const made = document.createElement("p");
  made.className = kind;
  made.textContent = text;
  return made;
}

/** Arrow keys change a number by a step that suits its range; typed numbers may be any. */
function nudge(event) {
  const input = event.target;
  const direction = { ArrowUp: 1, ArrowDown: -1 }[event.key];
  if (!direction || input.readOnly) return;
  event.preventDefault();
  const step = Number(input.dataset.nudge) * (event.shiftKey ? 10 : 1);
  const digits = Math.max(0, -Math.floor(Math.log10(Number(input.dataset.nudge))));
  const next = (Number(input.value) || 0) + direction * step;
  const least = input.min === "" ? -Infinity : Number(input.min);
  const most = input.max === "" ? Infinity : Number(input.max);
  input.value = String(Number(Math.min(most, Math.max(least, next)).toFixed(digits)));
}
