// The code for the request of the page, in tabs (ARIA: tabs with automatic activation). It follows the values of the form.
import { fill, send, startParts } from "./page.js";

const PAUSE = 250; // milliseconds without a change before the code is updated
const KEY = "fastmar:language";

function start(part) {
  const tabs = [...part.querySelectorAll("[role=tab]")];
  const place = part.querySelector("[data-snippets]");
  const stale = part.querySelector("[data-stale]");
  const form = document.querySelector("form[data-request]");
  let running = new AbortController();
  let timer = 0;

  for (const tab of tabs) tab.addEventListener("click", () => select(tab));
  part.querySelector("[role=tablist]").addEventListener("keydown", onKey);
  select(tabs.find(({ id }) => id === remembered()) ?? tabs[0]);
  if (form && part.dataset.url) {
    for (const kind of ["input", "change", "drop"]) form.addEventListener(kind, follow, { capture: true });
  }

  function select(chosen) {
    for (const tab of tabs) {
      tab.setAttribute("aria-selected", String(tab === chosen));
      tab.tabIndex = tab === chosen ? 0 : -1;
    }
    remember(chosen.id);
    unfold();
  }

  function unfold() {
    for (const tab of tabs) {
      const id = tab.id.replace("tab-", "code-");
      const panel = document.getElementById(id);
      if (panel) tab.setAttribute("aria-controls", id);
      else tab.removeAttribute("aria-controls"); // invalid values have no code
      panel?.toggleAttribute("data-folded", tab.getAttribute("aria-selected") !== "true");
    }
  }

  function onKey(event) {
    const at = tabs.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const tab = tabs.at(to % tabs.length);
    tab.focus();
    select(tab);
  }

  /** Update the code after a change. Of a chosen file only the name is sent. */
  function follow({ target, dataTransfer }) {
    const name = (target.files ?? dataTransfer?.files)?.[0]?.name;
    clearTimeout(timer);
    timer = setTimeout(() => update(name), PAUSE);
  }

  async function update(name) {
    running.abort();
    const { signal } = running = new AbortController();
    const inputs = [...document.querySelectorAll("form[data-request] input")]; // a control may hide `form.querySelectorAll`
    if (!name && inputs.some(({ validity }) => validity.badInput || validity.customError)) {
      return show({ failed: true, code: "invalid_values" });
    }
    const values = name ? [["name", name]] : [...new FormData(form)].filter(([, value]) => typeof value === "string");
    const reply = await send(part.dataset.url, { method: "POST", body: new URLSearchParams(values), signal }).catch(() => null);
    if (reply) show(reply);
  }

  /** Without a reply for the present values there is no code, instead of that of older values. */
  function show({ failed, code, html }) {
    stale.hidden = code !== "invalid_values";
    fill(place, failed ? "" : html);
    unfold();
  }
}

function remembered() {
  try { return localStorage.getItem(KEY); } catch { return null; }
}

function remember(id) {
  try { localStorage.setItem(KEY, id); } catch { /* storage is disabled */ }
}

startParts("code", start);
