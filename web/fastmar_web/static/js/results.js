// Filters, sorts and pages the answers of a table without a reload. The links also work without this script.
import { announce, fill, send, show } from "./page.js";

/** Take over the links and the form of the answers in `part`. */
export function followLinks(part) {
  let latest = 0; // number of the last request: a slow reply must not replace a later one

  part.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-key]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open(link.href, link.dataset.key);
  });
  part.addEventListener("submit", (event) => {
    if (!event.target.closest("[data-result]")) return;
    event.preventDefault();
    open(`${event.target.action.split("#")[0]}?${new URLSearchParams(new FormData(event.target))}`, "page");
  });
  part.addEventListener("change", (event) => {
    if (event.target.matches("[data-result] input[name=page]")) event.target.form.requestSubmit();
  });
  window.addEventListener("popstate", () => {
    if (part.querySelector("[data-result]")) open(location.href, "", false);
  });

  async function open(url, key, isNew = true) {
    const place = part.querySelector("[data-result]");
    const number = ++latest;
    place.setAttribute("aria-busy", "true");
    const reply = await send(url.split("#")[0]);
    if (number !== latest) return;
    place.removeAttribute("aria-busy");
    if (!reply.html || reply.failed) { location.assign(url); return; } // the page says what is wrong
    if (isNew) history.pushState(null, "", url.split("#")[0]);
    const scrolled = place.querySelector(".page-of-rows").scrollLeft;
    fill(place, reply.html);
    place.querySelector(".page-of-rows").scrollLeft = scrolled;
    if (key) focus(place, key);
    announce(reply.sentence);
  }

  /** Focus the link that was followed. After a filter, scroll to the rows: they are below the charts. */
  function focus(place, key) {
    const title = place.querySelector("#answers-title");
    const same = place.querySelector(`[data-key="${CSS.escape(key)}"]`);
    (same ?? title).focus({ preventScroll: true });
    if (!same || same.closest(".bars")) show(title);
  }
}
