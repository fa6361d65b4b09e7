// Files that are dropped on an element, or pasted into the page; also pictures that are pasted as data: URLs.

export function takeDrops(place, onFiles, onText = () => {}) {
  let depth = 0; // of dragenter events: entering a child also leaves the parent
  const over = (on) => place.classList.toggle("over", on);
  place.addEventListener("dragenter", (event) => { event.preventDefault(); depth += 1; over(true); });
  place.addEventListener("dragleave", () => { depth -= 1; if (depth <= 0) { depth = 0; over(false); } });
  place.addEventListener("dragover", (event) => event.preventDefault());
  place.addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    over(false);
    take(event.dataTransfer, onFiles, onText);
  });
  // A file that is dropped elsewhere must not replace the page.
  for (const kind of ["dragover", "drop"]) window.addEventListener(kind, (event) => event.preventDefault());
}

export function takePastes(onFiles, onText) {
  document.addEventListener("paste", (event) => { if (event.clipboardData) take(event.clipboardData, onFiles, onText); });
}

function take(data, onFiles, onText) {
  if (data.files.length) onFiles([...data.files]);
  else if (data.getData("text/plain")) onText(data.getData("text/plain"));
}

/** Take what a click on `button` finds in the clipboard. Browsers allow it on secure pages only; the button is hidden elsewhere. */
export function takeClipboard(button, onFiles, onText) {
  button.hidden = !navigator.clipboard?.read;
  button.addEventListener("click", async () => {
    const items = await navigator.clipboard.read().catch(() => []); // refused, or empty
    for (const item of items) {
      const type = item.types.find((each) => each.startsWith("image/"));
      if (type) onFiles([new File([await item.getType(type)], nameOf(type), { type })]);
      else if (item.types.includes("text/plain")) onText(await (await item.getType("text/plain")).text());
    }
    if (!items.length) onText("");
  });
}

const HEAD = /^data:(image\/[a-z0-9.+-]+)(?:;[\w.=-]+)*;base64,/i;

/** The picture in a data: URL; null for other texts. Nothing is fetched. */
export function pictureOf(text) {
  const found = HEAD.exec(text.trim().slice(0, 200));
  if (!found) return null;
  try {
    const decoded = atob(decodeURIComponent(text.trim().slice(found[0].length)));
    const bytes = Uint8Array.from(decoded, (character) => character.charCodeAt(0));
    return bytes.length ? new File([bytes], nameOf(found[1]), { type: found[1] }) : null;
  } catch {
    return null; // damaged base64
  }
}

function nameOf(type) { return `pasted.${type.slice(6).replace("jpeg", "jpg").replace("svg+xml", "svg")}`; }
