// The list of models: updated now and then, more often while a model is loading.
import { poll, root, startParts } from "./page.js";

function start(list) {
  poll(async () => { await update(list); return false; }, 3000, list.dataset.waiting === "yes" ? 5000 : 30000);
}

async function update(list) {
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

startParts("models", start);
