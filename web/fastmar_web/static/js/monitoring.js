// The monitoring page: updated regularly. Opened details stay open, and nothing changes under the keyboard's focus.
import { poll, startParts } from "./page.js";

function start(part) {
  const pause = Number(part.dataset.period) * 1000;
  poll(async () => { await update(part); return false; }, pause, pause);
}

async function update(part) {
  let page;
  try {
    const response = await fetch(location.href);
    if (!response.ok) return;
    page = new DOMParser().parseFromString(await response.text(), "text/html");
  } catch { return; }
  const fresh = page.getElementById("monitoring");
  if (!fresh || part.contains(document.activeElement)) return;
  const opened = new Set([...part.querySelectorAll("details[open]")].map(name));
  for (const each of fresh.querySelectorAll("details")) each.open = opened.has(name(each));
  part.replaceChildren(...fresh.childNodes);
}

/** What identifies details in the old and in the new page: the heading of their card, or their summary. */
function name(details) {
  return (details.closest("article")?.querySelector("h3") ?? details.querySelector("summary")).textContent;
}

startParts("monitoring", start);
