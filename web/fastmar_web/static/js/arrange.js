// Filters and sorts the cards of answers by label and confidence.

const FAILED = "failed";
const ORDERS = {
  added: () => 0,
  label: (a, b) => nameOf(a).localeCompare(nameOf(b)) || b.confidence - a.confidence,
  unsure: (a, b) => (a.confidence ?? 2) - (b.confidence ?? 2),
  sure: (a, b) => (b.confidence ?? -1) - (a.confidence ?? -1),
};

export class Arrangement {
  /** `bar`: the controls. `grid`: the list of cards. `onChange` is called when the user has changed a control. */
  constructor(bar, grid, onChange) {
    this.bar = bar;
    this.grid = grid;
    this.selects = Object.fromEntries(["label", "confidence", "order"].map((name) => [name, bar.querySelector(`[data-control=${name}] select`)]));
    bar.addEventListener("change", onChange);
  }

  /** Offer the labels of the answered `items`. */
  offer(items) {
    const counts = new Map();
    const failed = items.filter((item) => item.failed).length;
    for (const item of items) for (const label of item.labels) counts.set(label, (counts.get(label) ?? 0) + 1);
    const names = [...counts.keys()].sort((a, b) => a.localeCompare(b));
    const options = [["", "All"], ...names.map((name) => [`label ${name}`, `${name} (${counts.get(name)})`])];
    if (failed) options.push([FAILED, `Without an answer (${failed})`]);
    setOptions(this.selects.label, options);
    const sure = items.some((item) => item.confidence !== null);
    this.selects.confidence.parentElement.hidden = !sure;
    for (const option of this.selects.order.options) option.hidden = option.value.endsWith("sure") && !sure;
    this.bar.hidden = items.length < 2 || options.length < 2;
    if (this.bar.hidden) this.reset();
  }

  reset() { for (const select of Object.values(this.selects)) select.value = select.options[0].value; }

  /** Show the items that pass the filters, in the chosen order; returns them. */
  apply(items) {
    const { label, confidence, order } = this.selects;
    const [low, high] = confidence.value.split(" ").map(Number);
    const passes = (item) => (label.value === FAILED ? item.failed : !label.value || item.labels.includes(label.value.slice(6)))
      && (!confidence.value || (item.confidence !== null && item.confidence >= low && item.confidence < high));
    for (const item of items) item.element.hidden = !passes(item);
    const sorted = items.toSorted(ORDERS[order.value]);
    if (sorted.some((item, at) => this.grid.children[at] !== item.element)) this.grid.append(...sorted.map((item) => item.element));
    const shown = sorted.filter((item) => !item.element.hidden);
    const isWhole = shown.length === items.length;
    this.bar.querySelector("[data-shown]").textContent = isWhole ? "" : `${shown.length} of ${items.length} shown`;
    return shown;
  }
}

function nameOf(item) { return item.labels.join(" ") || "\uffff"; } // those without a label last

function setOptions(select, options) {
  const chosen = select.value;
  select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
  select.value = options.some(([value]) => value === chosen) ? chosen : "";
}
