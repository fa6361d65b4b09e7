// The form of a model: a script replaces only the answer, with the HTML that the server also sends without scripts.
import { announce, failedReply, fill, MAX_RETRIES, send, show, whenReady } from "./page.js";
import { makeCombobox } from "./combobox.js";
import { History } from "./history.js";

// A control has the name of its column, and one called "action" hides the form's own `action`. So properties of the form
// are hardly used.
export function start(part) {
  const form = part.querySelector("form");
  const answer = part.querySelector("[data-answer]");
  const card = document.getElementById("answer");
  const button = part.querySelector("button[type=submit]");
  const history = new History(part.querySelector("[data-history]"));
  let stopWaiting = () => {};
  let latest = 0;

  button.formNoValidate = true; // the server reports problems at the field
  for (const select of part.querySelectorAll("select[data-search]")) makeCombobox(select);
  for (const input of part.querySelectorAll("input[data-arrow-step]")) input.addEventListener("keydown", changeByArrow);

  part.addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });

  async function ask(retries = 0) {
    const number = ++latest;
    stopWaiting();
    card.setAttribute("aria-busy", "true");
    button.setAttribute("aria-disabled", "true");
    const reply = invalidInput(part)
      ?? await send(form.getAttribute("action"), { method: "POST", body: new URLSearchParams(new FormData(form)) });
    if (number !== latest) return; // another request was sent since
    card.removeAttribute("aria-busy");
    button.removeAttribute("aria-disabled");
    fill(answer, reply.html);
    mark(part, reply.fields ?? {});
    if (!reply.failed || !retries) announce(reply.sentence);
    if (reply.failed) {
      if (reply.retry && retries < MAX_RETRIES) {
        stopWaiting = whenReady(part.dataset.model, answer, () => ask(retries + 1));
      }
      if (!retries) (part.querySelector("[aria-invalid=true]") ?? card).focus();
      return;
    }
    history.add({ text: reply.sentence, link: reply.link, about: changedValues(part) });
    show(card);
  }
}

/**
 * The problems of incomplete input, or null. An incomplete date or number has the value "", as if it were empty, and a
 * searched field with an unknown text has the value that was chosen before.
 */
function invalidInput(part) {
  const found = [...part.querySelectorAll("form input")]
    .filter(({ validity }) => validity.badInput || validity.customError);
  if (!found.length) return null;
  const problem = ({ type, validity, validationMessage }) => {
    if (validity.customError) return { code: "not_a_choice", text: validationMessage };
    if (type === "number") return { code: "not_a_number", text: "This is not a number." };
    return { code: "incomplete_date", text: "This date is not complete." };
  };
  const fields = Object.fromEntries(found.map((input) => [input.id, { problem: problem(input) }]));
  return { ...failedReply("invalid_values", "Not sent yet", "Correct the marked fields."), fields };
}

/** The values that differ from those with which the form was opened, as text. */
function changedValues(part) {
  const controls = [...part.querySelectorAll("form [name]")];
  const found = controls.filter((control) => textOf(control) !== initialTextOf(control));
  return found.map((control) => `${titleOf(control)} ${short(textOf(control)) || "empty"}`).join(", ") || "no values changed";
}

function short(text) { return text.length <= 60 ? text : `${text.slice(0, 57)}...`; }

function textOf(control) {
  if (control.type === "checkbox") return control.checked ? "yes" : "no";
  return control.options ? control.selectedOptions[0]?.label ?? "" : control.value;
}
function initialTextOf(control) {
  if (control.type === "checkbox") return control.defaultChecked ? "yes" : "no";
  return control.options ? [...control.options].find((option) => option.defaultSelected)?.label ?? "" : control.defaultValue;
}
function titleOf(control) { return control.closest(".field").querySelector("label").textContent.trim(); }

/** Show problems and remarks at their fields. */
function mark(part, fields) {
  for (const place of part.querySelectorAll(".field-messages")) {
    const id = place.id.replace(/-messages$/, "");
    const { problem, remarks = [] } = fields[id] ?? {};
    place.replaceChildren(...(problem ? [line("problem", problem)] : []), ...remarks.map((remark) => line("remark", remark)));
    const control = document.getElementById(id);
    if (problem) control.setAttribute("aria-invalid", "true");
    else control.removeAttribute("aria-invalid");
  }
}

function line(kind, { code, text }) {
  const element = document.createElement("p");
  element.className = kind;
  element.dataset.code = code;
  element.textContent = text;
  return element;
}

/** Arrow keys change a number by a step that suits its range. Typed numbers need not be multiples of it. */
function changeByArrow(event) {
  const input = event.target;
  const direction = { ArrowUp: 1, ArrowDown: -1 }[event.key];
  if (!direction || input.readOnly) return;
  event.preventDefault();
  const step = Number(input.dataset.arrowStep) * (event.shiftKey ? 10 : 1);
  const digits = Math.min(100, Math.max(decimals(input.value), decimals(input.dataset.arrowStep))); // toFixed accepts at most 100
  const next = (Number(input.value) || 0) + direction * step;
  const minimum = input.min === "" ? -Infinity : Number(input.min);
  const maximum = input.max === "" ? Infinity : Number(input.max);
  input.value = String(Number(Math.min(maximum, Math.max(minimum, next)).toFixed(digits)));
}

/** Number of digits after the decimal point, also of "1e-7". */
function decimals(text) {
  const [digits, exponent = "0"] = text.toLowerCase().split("e");
  return Math.max(0, (digits.split(".")[1] ?? "").length - Number(exponent));
}
