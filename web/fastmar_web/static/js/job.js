// The page of a table: updated while the table is read or scored.
import { announce, fill, send, startParts } from "./page.js";
import { followLinks } from "./results.js";

const PAUSE = 700;

function start(part) {
  const place = part.querySelector("[data-job]");
  let announcedAt = 0;
  if (part.dataset.active === "yes") setTimeout(update, PAUSE);
  part.addEventListener("submit", onSubmit);
  followLinks(part);

  async function update() {
    const reply = await send(part.dataset.url);
    if (reply.retry) { setTimeout(update, 4 * PAUSE); return; }
    draw(reply);
    if (reply.active) setTimeout(update, PAUSE);
  }

  function draw(reply) {
    if (!reply.state) { fill(place, reply.html); announce(reply.sentence); return; } // an error
    const bar = place.querySelector("progress");
    const fresh = document.createElement("div");
    fill(fresh, reply.html);
    const next = fresh.querySelector("progress");
    if (bar && next && reply.active) { // only the progress, so that the focus stays
      if (next.hasAttribute("value")) { bar.max = next.max; bar.value = next.value; }
      else bar.removeAttribute("value");
      place.querySelector(".job-status").textContent = reply.sentence;
      if (Date.now() - announcedAt > 8000) { announcedAt = Date.now(); announce(reply.sentence); }
      return;
    }
    place.replaceChildren(...fresh.childNodes);
    announce(reply.sentence);
    if (!reply.active) place.querySelector("h2").focus({ preventScroll: true });
  }

  async function onSubmit(event) {
    if (!event.target.action.endsWith("/score")) return;
    event.preventDefault();
    try {
      const response = await fetch(event.target.action, { method: "POST", redirect: "manual" });
      if (response.type !== "opaqueredirect" && !response.ok) throw new Error(String(response.status));
    } catch { event.target.submit(); return; }
    update();
  }
}

startParts("job", start);
