// A table that is at work: its page is brought up to date until there is nothing more to come.
import { fill, say, send } from "./page.js";

const PAUSE = 700;

export function start(part) {
  const place = part.querySelector("[data-job]");
  let told = 0;
  if (part.dataset.work === "yes") setTimeout(look, PAUSE);
  part.addEventListener("submit", onSubmit);

  async function look() {
    const reply = await send(part.dataset.state);
    if (reply.retry) { setTimeout(look, 4 * PAUSE); return; }
    update(reply);
    if (reply.at_work) setTimeout(look, PAUSE);
  }

  function update(reply) {
    if (!reply.state) { fill(place, reply.html); say(reply.sentence); return; }
    const bar = place.querySelector("progress");
    const fresh = document.createElement("div");
    fill(fresh, reply.html);
    const next = fresh.querySelector("progress");
    if (bar && next && reply.at_work) { // only what moves, so that nothing loses the focus
      if (next.hasAttribute("value")) { bar.max = next.max; bar.value = next.value; }
      else bar.removeAttribute("value");
      place.querySelector(".job-said").textContent = reply.said;
      if (Date.now() - told > 8000) { told = Date.now(); say(reply.said); }
      return;
    }
    place.replaceChildren(...fresh.childNodes);
    say(reply.said);
    if (!reply.at_work) place.querySelector("h2").focus({ preventScroll: true });
  }

  async function onSubmit(event) {
    if (!event.target.action.endsWith("/score")) return;
    event.preventDefault();
    try {
      const response = await fetch(event.target.action, { method: "POST", redirect: "manual" });
      if (response.type !== "opaqueredirect" && !response.ok) throw new Error(String(response.status));
    } catch { event.target.submit(); return; }
    look();
  }
}
