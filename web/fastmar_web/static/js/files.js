// Files that are dropped on an element, or pasted into the page.

export function takeDrops(place, onFiles) {
  let depth = 0; // of dragenter events: entering a child also leaves the parent
  const over = (on) => place.classList.toggle("over", on);
  place.addEventListener("dragenter", (event) => { event.preventDefault(); depth += 1; over(true); });
  place.addEventListener("dragleave", () => { depth -= 1; if (depth <= 0) { depth = 0; over(false); } });
  place.addEventListener("dragover", (event) => event.preventDefault());
  place.addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    over(false);
    if (event.dataTransfer.files.length) onFiles([...event.dataTransfer.files]);
  });
  // A file that is dropped elsewhere must not replace the page.
  for (const kind of ["dragover", "drop"]) window.addEventListener(kind, (event) => event.preventDefault());
}

export function takePastes(onFiles) {
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) onFiles(files);
  });
}
