// The form of values: only the answer is exchanged; the server says the same as it does without scripts.
import { fill, onceReady, say, send, show, TRIES, unanswered } from "./page.js";
import { makeCombobox } from "./combobox.js";
import { History } from "./history.js";

// A column's name is its control's: one called "action" hides the form's own `action`. So hardly anything is asked of
// the form itself.
export function start(part) {
  const form = part.querySelector("form");
  const answer = part.querySelector("[data-answer]");
  const card = document.getElementById("answer");
  const button = part.querySelector("button[type=submit]");
  const history = new History(part.querySelector("[data-history]"));
  let stopWaiting = () => {};
  let asked = 0;

  button.formNoValidate = true; // the server says it beside the field
  for (const select of part.querySelectorAll("select[data-search]")) makeCombobox(select);
  for (const input of part.querySelectorAll("input[data-nudge]")) input.addEventListener("keydown", nudge);

  part.addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });

  async function ask(tries = 0) {
    const number = ++asked;
    stopWaiting();
    card.setAttribute("aria-busy", "true");
    button.setAttribute("aria-disabled", "true");
    const reply = unreadable(part)
      ?? await send(form.getAttribute("action"), { method: "POST", body: new URLSearchParams(new FormData(form)) });
    if (number !== asked) return; // another one was asked since
    card.removeAttribute("aria-busy");
    button.removeAttribute("aria-disabled");
    fill(answer, reply.html);
    mark(part, reply.fields ?? {});
    if (!reply.failed || !tries) say(reply.sentence);
    if (reply.failed) {
      if (reply.retry && tries < TRIES) stopWaiting = onceReady(part.dataset.model, answer, () => ask(tries + 1));
      if (!tries) (part.querySelector("[aria-invalid=true]") ?? card).focus();
      return;
    }
    history.add({ text: reply.sentence, link: reply.link, about: changed(part) });
    show(card);
  }
}

/**
 * Half a date or number has the value "", as if nothing stood there, and a searched field with an unknown text has the
 * value before: what is said of them; null where there are none.
 */
function unreadable(part) {
  const found = [...part.querySelectorAll("form input")]
    .filter(({ validity }) => validity.badInput || validity.customError);
  if (!found.length) return null;
  const said = ({ type, validity, validationMessage }) => {
    if (validity.customError) return validationMessage;
    return type === "number" ? "This is not a number." : "This date is not complete.";
  };
  const fields = Object.fromEntries(found.map((input) => [input.id, { problem: said(input) }]));
  return { ...unanswered("Not asked yet", "See beside the fields."), fields };
}

/** What differs from the form as it was opened. */
function changed(part) {
  const controls = [...part.querySelectorAll("form [name]")];
  const found = controls.filter((control) => textOf(control) !== openedWith(control));
  return found.map((control) => `${titleOf(control)} ${textOf(control) || "empty"}`).join(", ") || "as the form was opened";
}

function textOf(control) {
  if (control.type === "checkbox") return control.checked ? "yes" : "no";
  return control.options ? control.selectedOptions[0]?.label ?? "" : control.value;
}
function openedWith(control) {
  if (control.type === "checkbox") return control.defaultChecked ? "yes" : "no";
  return control.options ? [...control.options].find((option) => option.defaultSelected)?.label ?? "" : control.defaultValue;
}
function titleOf(control) { return control.closest(".field").querySelector("label").textContent.trim(); }

/** Puts what is said of each field beside it. */
function mark(part, fields) {
  for (const place of part.querySelectorAll(".said")) {
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
  const digits = Math.min(100, Math.max(decimals(input.value), decimals(input.dataset.nudge))); // more toFixed refuses
  const next = (Number(input.value) || 0) + direction * step;
  const least = input.min === "" ? -Infinity : Number(input.min);
  const most = input.max === "" ? Infinity : Number(input.max);
  input.value = String(Number(Math.min(most, Math.max(least, next)).toFixed(digits)));
}

/** How many digits stand behind the point, as in "0.25" and "1e-7". */
function decimals(text) {
  const [digits, exponent = "0"] = text.toLowerCase().split("e");
  return Math.max(0, (digits.split(".")[1] ?? "").length - Number(exponent));
}
