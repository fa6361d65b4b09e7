// The list of models: looks again, soon while one is being loaded.
import { root, until } from "./page.js";

export function start(list) {
  until(async () => { await renew(list); return false; }, 3000, list.dataset.waiting === "yes" ? 5000 : 30000);
}

async function renew(list) {
  let page;
  try {
    const response = await fetch(root);
    if (!response.ok) return;
    page = new DOMParser().parseFromString(await response.text(), "text/html");
  } catch { return; }
  const fresh = page.getElementById("models");
  if (!fresh || fresh.innerHTML === list.innerHTML || list.contains(document.activeElement)) return;
  list.replaceChildren(...fresh.childNodes);
}
