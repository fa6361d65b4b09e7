// A select box with many options becomes one that is searched (ARIA: editable combobox with list). The select stays in
// the form and holds the value.

export function makeCombobox(select) {
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
  input.id = select.id; // so that the label and what is said of the field belong to it
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
  reflect();

  input.addEventListener("focus", () => input.select());
  input.addEventListener("click", () => (list.hidden ? open("") : null));
  input.addEventListener("input", () => open(input.value));
  input.addEventListener("blur", settle);
  input.addEventListener("keydown", onKey);
  list.addEventListener("mousedown", (event) => event.preventDefault()); // or the input would lose the focus first
  list.addEventListener("click", (event) => {
    const at = [...list.children].indexOf(event.target.closest("li"));
    if (shown[at]) choose(shown[at]);
  });
  select.addEventListener("change", reflect);

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
      reflect();
    } else if (event.key === "Tab" && !list.hidden && shown[active] && input.value !== labelOf(select.value)) {
      choose(shown[active]);
    }
  }

  function open(text) {
    shown = found(options, text);
    list.replaceChildren(...(shown.length ? shown.map((option, at) => item(option, at, text)) : [nothing()]));
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    const chosen = shown.findIndex((option) => option.value === select.value);
    move(text ? 0 : Math.max(0, chosen));
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
    reflect();
    select.dispatchEvent(new Event("change", { bubbles: true }));
  }

  /** What was typed and not picked: it is chosen where it means one option; else it stays, and can't be sent. */
  function settle() {
    close();
    const text = input.value.trim();
    if (!text || text === labelOf(select.value)) return reflect();
    const meant = meantBy(options, text);
    if (meant) choose(meant);
    else input.setCustomValidity("This is not one of the known values.");
  }

  function reflect() {
    input.value = labelOf(select.value);
    input.setCustomValidity("");
  }

  function labelOf(value) { return options.find((option) => option.value === value)?.label ?? ""; }

  function item(option, at, text) {
    const made = document.createElement("li");
    made.id = `${list.id}-${at}`;
    made.setAttribute("role", "option");
    const place = text ? option.label.toLowerCase().indexOf(text.trim().toLowerCase()) : -1;
    if (place < 0) made.textContent = option.label;
    else {
      const mark = document.createElement("mark");
      const end = place + text.trim().length;
      mark.textContent = option.label.slice(place, end);
      made.append(option.label.slice(0, place), mark, option.label.slice(end));
    }
    return made;
  }
}

function nothing() {
  const made = document.createElement("li");
  made.className = "none";
  made.setAttribute("role", "option");
  made.setAttribute("aria-disabled", "true");
  made.textContent = "Nothing like that is known";
  return made;
}

/** The option that the text is, else the only one that it is but for capitals, else the only one that contains it. */
function meantBy(options, text) {
  const exact = options.find(({ label }) => label === text);
  const same = options.filter(({ label }) => label.toLowerCase() === text.toLowerCase());
  const near = same.length ? same : found(options, text);
  return exact ?? (near.length === 1 ? near[0] : undefined);
}

/** Options that contain the text; those that begin with it, or have a word that does, come first. */
function found(options, text) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return options;
  const rank = ({ label }) => {
    const at = label.toLowerCase().indexOf(wanted);
    return at <= 0 ? at : /[\s\-_(]/.test(label[at - 1]) ? 1 : 2;
  };
  return options.filter((option) => rank(option) >= 0).sort((a, b) => rank(a) - rank(b));
}
