// The form of a model: a script replaces only the answer, with the HTML that the server also sends without scripts.
// If the model is fast, the answer follows each change of a value.
import { announce, failedReply, fill, MAX_RETRIES, send, setProblem, show, startParts, whenReady } from "./page.js";
import { Comparison } from "./comparison.js";
import { makeCombobox } from "./combobox.js";
import { History } from "./history.js";

const PAUSE = 250; // milliseconds without a change before problems are shown, and a slow request is cancelled
const MARGIN = 24; // pixels above and below an answer that stays in the window
const MAX_NAMED = 4; // changed values of an answer in the history

// A control has the name of its column, and one called "action" hides the form's own `action`. So properties of the form
// are hardly used.
function start(part) {
  const form = part.querySelector("form");
  const answer = part.querySelector("[data-answer]");
  const card = document.getElementById("answer");
  const outdated = part.querySelector("[data-outdated]");
  const button = part.querySelector("button[type=submit]");
  const whatIf = part.querySelector("[data-what-if]");
  const history = new History(part.querySelector("[data-history]"));
  const comparison = new Comparison(answer, part.querySelector("[data-brief]"));
  const isLive = part.dataset.live === "yes";
  let stopWaiting = () => {};
  let running = new AbortController();
  let flight = Promise.resolve(); // the request that is not answered yet
  let isAsking = false; // whether there is one
  let sent = null; // the values of the last request
  let report = null; // shows the problems and remarks of the last reply, after a pause
  let timer = 0; // of the pause after a change
  let changed = null; // the control that was changed last

  const recent = new Set(); // names of changed controls, the last one at the end
  const opened = openedValues(part);

  stickIfItFits(part, part.querySelector(".side"));
  button.formNoValidate = true; // the server reports problems at the field
  for (const select of part.querySelectorAll("select[data-search]")) makeCombobox(select, button);
  for (const input of part.querySelectorAll("[data-number]")) {
    input.addEventListener("keydown", changeByArrow);
    for (const kind of ["input", "change"]) input.addEventListener(kind, checkNumber);
  }
  for (const slider of part.querySelectorAll("[data-slider]")) connect(slider);

  part.addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  whatIf.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link) return;
    event.preventDefault();
    document.getElementById(link.hash.slice(1)).focus();
  });
  for (const kind of ["input", "change"]) form.addEventListener(kind, ({ target: { name } }) => { recent.delete(name); recent.add(name); });
  // A message moves the button: while it is pressed, a message would prevent the click.
  let isPressed = false;
  addEventListener("pointerdown", () => { isPressed = true; }, { capture: true });
  for (const kind of ["pointerup", "pointercancel"]) addEventListener(kind, () => { isPressed = false; }, { capture: true });
  part.addEventListener("validity", ({ target }) => {
    if (isPressed) addEventListener("pointerup", () => setTimeout(() => showValidity(target)), { once: true });
    else showValidity(target);
  });
  if (isLive) {
    for (const kind of ["input", "change"]) form.addEventListener(kind, follow);
    if (answer.querySelector(".placeholder")) ask({ live: true, quiet: true });
  }

  /**
   * Update the answer after a change: at once, or when the request in flight is answered, and at the latest after a pause.
   * The text of a search is no value until an option is chosen.
   */
  function follow({ target }) {
    if (target.getAttribute("role") === "combobox" || target.dataset.slider) return;
    if (target !== changed) comparison.restart();
    changed = target;
    endPause();
    timer = setTimeout(settle, PAUSE);
    if (!isAsking) update();
  }

  /** Ask for the answer if the values are valid, and others than those of the last request. */
  function update() {
    if (valuesOf(form) !== sent && !invalidInput(part)) ask({ live: true });
  }

  function endPause() {
    clearTimeout(timer);
    timer = 0;
  }

  /** After a pause: show problems, which would be in the way while the visitor types or presses a button. */
  function settle() {
    timer = isPressed ? setTimeout(settle, PAUSE) : 0;
    if (timer) return;
    const found = invalidInput(part);
    if (!found) update();
    if (report) report();
    else if (found) showInvalid(found);
    if (found) sent = null;
  }

  function showInvalid({ fields }) {
    for (const [id, messages] of Object.entries(fields)) markField(id, messages);
    setOutdated(true);
  }

  /** Show whether the text of a search is a known category, after the field was left. */
  function showValidity({ id }) {
    const found = invalidInput(part);
    const messages = found?.fields[id];
    markField(id, messages);
    setOutdated(Boolean(found));
    sent = null;
    if (isLive && !found) follow({ target: part });
    if (!messages) return;
    announce(messages.problem.text);
    if (document.activeElement.id === id) document.getElementById(`${id}-messages`).scrollIntoView({ block: "nearest" });
  }

  /** Show whether the answer is not that of the values, because one of them is invalid. */
  function setOutdated(isInvalid) {
    const isOutdated = isInvalid && !answer.querySelector(".failure"); // a failure is no older answer
    if (isOutdated && !part.classList.contains("outdated")) announce(outdated.textContent);
    part.classList.toggle("outdated", isOutdated);
    outdated.hidden = !isOutdated;
  }

  /** The reply of the server, or `problems` if there are any; null if the request was cancelled. */
  async function post(signal, headers, problems) {
    if (problems) return problems;
    sent = valuesOf(form);
    const body = new URLSearchParams(sent);
    return send(form.getAttribute("action"), { method: "POST", body, headers, signal }).catch(() => null);
  }

  /** Ask for the answer; a request that is not answered yet is cancelled. `live`: the visitor did not press the button. */
  async function ask({ retries = 0, live = false, quiet = false } = {}) {
    if (!live) endPause();
    running.abort();
    const { signal } = running = new AbortController();
    isAsking = true;
    report = null;
    stopWaiting();
    card.setAttribute("aria-busy", "true");
    if (!live) button.setAttribute("aria-disabled", "true");
    await flight; // until the cancelled request has ended: there is never more than one
    if (signal.aborted) return;
    flight = post(signal, live ? { "X-Fastmar-Live": "yes" } : {}, live ? null : invalidInput(part));
    const reply = await flight;
    if (!reply) return;
    card.removeAttribute("aria-busy");
    button.removeAttribute("aria-disabled");
    isAsking = false;
    const isInvalid = live && reply.code === "invalid_values"; // the visitor may be typing
    if (!isInvalid) {
      const before = comparison.read();
      fill(answer, reply.html);
      comparison.show(before);
      fillWhatIf(whatIf, reply.whatIf ?? "");
      if (!invalidInput(part)) setOutdated(false);
    }
    report = () => {
      report = null;
      const found = invalidInput(part);
      mark(part, { ...reply.fields, ...found?.fields });
      setOutdated(live && Boolean(isInvalid || found));
      if (!isInvalid && !quiet && (!reply.failed || !retries)) announce(reply.sentence);
    };
    if (!live) report();
    else if (timer) update();
    else settle();
    if (isInvalid || signal.aborted) return;
    if (reply.failed) {
      if (reply.retry && retries < MAX_RETRIES) {
        stopWaiting = whenReady(part.dataset.model, answer, () => ask({ retries: retries + 1, live, quiet }));
      }
      if (!retries && !live) (part.querySelector("[aria-invalid=true]") ?? card).focus();
      return;
    }
    if (live) return;
    history.add({ text: reply.sentence, link: reply.link, about: describeValues(part, opened, recent) });
    show(card);
  }
}

/** Keep the answer in the window while the form scrolls, if all of it fits; else the row of buttons has its headline. */
function stickIfItFits(part, side) {
  const isWide = matchMedia("(min-width: 60rem)");
  const check = () => part.classList.toggle("fits", isWide.matches && side.offsetHeight + 2 * MARGIN <= innerHeight);
  new ResizeObserver(check).observe(side);
  addEventListener("resize", check);
}

/** Replace the effects of the fields; a list that was opened stays open. */
function fillWhatIf(section, html) {
  const isOpen = section.querySelector("details")?.open;
  fill(section, html);
  section.hidden = !section.childElementCount;
  const details = section.querySelector("details");
  if (details && isOpen) details.open = true;
}

/** Keep a slider and its number equal. */
function connect(slider) {
  const input = document.getElementById(slider.dataset.slider);
  slider.addEventListener("input", () => setValue(input, slider.value));
  input.addEventListener("input", () => { if (isNumber(input.value)) slider.value = input.value; });
}

function setValue(input, value) {
  input.value = value;
  input.dispatchEvent(new Event("input", { bubbles: true }));
}

/** The values of the form as a text. */
function valuesOf(form) { return String(new URLSearchParams(new FormData(form))); }

function isNumber(text) { return text.trim() !== "" && Number.isFinite(Number(text)); }

/** Mark a text that is not a number: at once if it has other characters, else when the field is left ("1e" may be a beginning). */
function checkNumber({ type, target }) {
  const text = target.value;
  const isWrong = text.trim() !== "" && !isNumber(text) && (type === "change" || /[^\d\s.e+-]/i.test(text));
  setProblem(target, isWrong ? `This is not a number. ${target.dataset.hint}` : "");
}

/**
 * The problems of invalid input, or null. An incomplete date has the value "", as if it were empty, and a searched field
 * with an unknown text has the value that was chosen before.
 */
function invalidInput(part) {
  const found = [...part.querySelectorAll("form input")]
    .filter(({ validity }) => validity.badInput || validity.customError);
  if (!found.length) return null;
  const problem = ({ dataset, validity, validationMessage }) => {
    if (!validity.customError) return { code: "incomplete_date", text: "This date is not complete." };
    return { code: "number" in dataset ? "not_a_number" : "not_a_choice", text: validationMessage };
  };
  const fields = Object.fromEntries(found.map((input) => [input.id, { problem: problem(input) }]));
  return { ...failedReply("invalid_values", "Not sent yet", "Correct the marked fields."), fields };
}

/** The values that the page was opened with: a title, and the text of each control by name. */
function openedValues(part) {
  const link = [...part.querySelectorAll(".examples a")].find(({ pathname, search }) => pathname === location.pathname && search === location.search);
  const isTypical = !location.search;
  const texts = controlsOf(part).map((control) => [control.name, isTypical ? fieldOf(control).dataset.typical : textOf(control)]);
  return { title: link?.textContent, texts: new Map(texts) };
}

/** The example, and the values that differ from those that the page was opened with: the last changed ones first. */
function describeValues(part, { title, texts }, recent) {
  const order = [...recent];
  const named = controlsOf(part).filter((control) => textOf(control) !== texts.get(control.name))
    .sort((a, b) => order.indexOf(b.name) - order.indexOf(a.name)).map(describe);
  if (named.length > MAX_NAMED) named.splice(MAX_NAMED, Infinity, `and ${named.length - MAX_NAMED} more`);
  const changes = named.join(", ");
  if (!title) return changes || (location.search ? "values of the link" : "typical values");
  return changes ? `${title}, changed: ${changes}` : title;
}

function describe(control) {
  const { label, unit, year } = fieldOf(control).dataset;
  const text = textOf(control);
  if (!text) return `${label} empty`;
  const isCount = year === undefined && "number" in control.dataset && isNumber(text);
  return [label, isCount ? withSeparators(text) : short(text), unit].filter(Boolean).join(" ");
}

/** A number with thousands separators and all of its digits. */
function withSeparators(text) {
  return Number(text).toLocaleString("en", { maximumFractionDigits: 20 });
}

function short(text) { return text.length <= 60 ? text : `${text.slice(0, 57)}...`; }

function controlsOf(part) { return [...part.querySelectorAll("form [name]")]; }
function fieldOf(control) { return control.closest(".field"); }
function textOf(control) {
  if (control.type === "checkbox") return control.checked ? "yes" : "no";
  return control.options ? control.selectedOptions[0]?.label ?? "" : control.value;
}

/** Show problems and remarks at their fields. */
function mark(part, fields) {
  for (const place of part.querySelectorAll(".field-messages")) {
    const id = place.id.replace(/-messages$/, "");
    markField(id, fields[id]);
  }
}

function markField(id, { problem, remarks = [] } = {}) {
  const messages = [...(problem ? [line("problem", problem)] : []), ...remarks.map((remark) => line("remark", remark))];
  document.getElementById(`${id}-messages`).replaceChildren(...messages);
  const control = document.getElementById(id);
  if (problem) control.setAttribute("aria-invalid", "true");
  else control.removeAttribute("aria-invalid");
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
  const minimum = input.dataset.minimum === "" ? -Infinity : Number(input.dataset.minimum);
  const maximum = input.dataset.maximum === "" ? Infinity : Number(input.dataset.maximum);
  setValue(input, String(Number(Math.min(maximum, Math.max(minimum, next)).toFixed(digits))));
}

/** Number of digits after the decimal point, also of "1e-7". */
function decimals(text) {
  const [digits, exponent = "0"] = text.toLowerCase().split("e");
  return Math.max(0, (digits.split(".")[1] ?? "").length - Number(exponent));
}

startParts("ask", start);
