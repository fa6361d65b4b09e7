// Draws masks and points over a picture, in the colours of `fastmar predict --save`.

const COLOURS = [
  [0, 114, 178], [230, 159, 0], [0, 158, 115], [204, 121, 167], [213, 94, 0], [86, 180, 233], [240, 228, 66],
  [128, 62, 117], [140, 200, 60], [193, 0, 32], [0, 83, 91], [244, 200, 180],
];

export function colour(index) {
  if (index < COLOURS.length) return COLOURS[index];
  const [h, s, v] = [(index * 0.618034) % 1, 0.45 + 0.5 * (index % 2), 0.95 - 0.2 * (index % 3)];
  return [5, 3, 1].map((n) => {
    const k = (n + h * 6) % 6;
    return Math.round(255 * (v - v * s * Math.max(0, Math.min(k, 4 - k, 1))));
  });
}

/** The mask of an answer as a bitmap. */
export async function maskOf(overlay) {
  const bytes = Uint8Array.from(atob(overlay.mask), (character) => character.charCodeAt(0));
  return createImageBitmap(new Blob([bytes], { type: "image/png" }), { colorSpaceConversion: "none", premultiplyAlpha: "none" });
}

/** Draw the classes of `mask` in their colours over the canvas. */
export function drawMask(canvas, mask, overlay, opacity) {
  const layer = document.createElement("canvas");
  layer.width = canvas.width;
  layer.height = canvas.height;
  const context = layer.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingEnabled = false; // classes must not be interpolated
  context.drawImage(mask, 0, 0, layer.width, layer.height);
  const pixels = context.getImageData(0, 0, layer.width, layer.height);
  const colours = Array.from({ length: 256 }, (_, index) => [...colour(index), 255 * opacity]);
  if (overlay.unseen !== null && overlay.unseen < 256) colours[overlay.unseen] = [0, 0, 0, 150];
  for (let at = 0; at < pixels.data.length; at += 4) pixels.data.set(colours[pixels.data[at]], at);
  context.putImageData(pixels, 0, 0);
  canvas.getContext("2d").drawImage(layer, 0, 0);
}

/** Draw the cells of a grid over `area` of a picture of `width`: the effect of each is the opacity of its colour. */
export function drawGrid(canvas, { area: [left, top, right, bottom], grid }, width, opacity) {
  const context = canvas.getContext("2d");
  const scale = canvas.width / width;
  const [cellWidth, cellHeight] = [(right - left) / grid[0].length, (bottom - top) / grid.length];
  grid.forEach((row, y) => row.forEach((effect, x) => {
    context.fillStyle = `rgb(${colour(effect >= 0 ? 0 : 1).join(" ")} / ${Math.abs(effect) * opacity})`;
    const corner = [left + x * cellWidth, top + y * cellHeight].map((at) => at * scale);
    context.fillRect(...corner, cellWidth * scale, cellHeight * scale);
  }));
}

/** Draw numbered dots at `points`, in pixels of a picture of `width`. Points outside are hollow, at the edge. */
export function drawPoints(canvas, points, width) {
  const context = canvas.getContext("2d");
  const scale = canvas.width / width;
  const radius = Math.max(4, Math.max(canvas.width, canvas.height) / 42);
  context.lineWidth = Math.max(2, radius / 3);
  context.font = `600 ${Math.round(radius * 2.2)}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  points.forEach(([x, y], number) => {
    const at = [Math.min(Math.max(x * scale, 0), canvas.width), Math.min(Math.max(y * scale, 0), canvas.height)];
    const inside = at[0] === x * scale && at[1] === y * scale;
    context.beginPath();
    context.arc(...at, radius, 0, 2 * Math.PI);
    context.fillStyle = `rgb(${colour(number).join(" ")})`;
    if (inside) context.fill();
    context.strokeStyle = "#fff";
    context.stroke();
    if (points.length < 2) return;
    const right = at[0] + 4 * radius < canvas.width;
    context.textAlign = right ? "left" : "right";
    const text = [String(number + 1), at[0] + (right ? 1.6 : -1.6) * radius, at[1]];
    context.strokeStyle = "#000";
    context.strokeText(...text);
    context.fillStyle = "#fff";
    context.fillText(...text);
  });
}
