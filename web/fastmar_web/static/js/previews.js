// Draws the pictures of cards that are near the window, and frees those of the others: hundreds of pictures take memory
// for a few dozen.
import { draw } from "./viewer.js";

const CONCURRENCY = 2;
const MARGIN = "800px 0px";

export class Previews {
  constructor() {
    this.items = new Map(); // by the card's element
    this.waiting = new Set();
    this.busy = 0;
    this.observer = new IntersectionObserver((entries) => entries.forEach((entry) => this.moved(entry)), { rootMargin: MARGIN });
  }

  watch(item) {
    this.items.set(item.element, item);
    this.observer.observe(item.element);
  }

  /** Free the picture of one card, which is removed from the page. */
  forget(item) {
    this.observer.unobserve(item.element);
    this.items.delete(item.element);
    item.isNear = false;
    this.free(item);
  }

  clear() {
    this.observer.disconnect();
    this.items.clear();
    this.waiting.clear();
  }

  moved({ target, isIntersecting }) {
    const item = this.items.get(target);
    if (!item) return;
    item.isNear = isIntersecting;
    if (!isIntersecting) return this.free(item);
    if (!item.isDrawn) { this.waiting.add(item); this.work(); }
  }

  work() {
    while (this.busy < CONCURRENCY && this.waiting.size) {
      const [item] = this.waiting;
      this.waiting.delete(item);
      this.busy += 1;
      this.paint(item).finally(() => { this.busy -= 1; this.work(); });
    }
  }

  /** Draw the picture again after its overlay has changed; later, if its card is far from the window. */
  async redraw(item) {
    this.waiting.delete(item);
    if (item.isNear === false) item.isDrawn = false;
    else await this.paint(item);
  }

  async paint(item) {
    const thumb = item.element.querySelector(".thumb");
    item.isDrawn = true;
    // One after the other: a picture without its overlay may take longer to read than the same picture with it.
    item.drawing = Promise.resolve(item.drawing).then(() => draw(thumb.querySelector("canvas"), item.file, item.overlay)).catch(() => false);
    const seen = await item.drawing;
    thumb.querySelector(".no-preview").hidden = seen;
    thumb.disabled = !seen;
    if (item.isNear === false) this.free(item); // it was scrolled away meanwhile
  }

  free(item) {
    this.waiting.delete(item);
    const canvas = item.element.querySelector("canvas");
    [canvas.width, canvas.height, item.isDrawn] = [1, 1, false];
  }
}
