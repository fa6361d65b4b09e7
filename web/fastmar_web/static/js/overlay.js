// Draws masks and points over a picture, in the colours of `fastmar predict --save`.

const COLOURS = [
  [0, 114, 178], [230, 159, 0], [0, 158, 115], [204, 121, 167], [213, 94, 0], [86, 180, 233], [240, 228, 66],
  [128, 62, 117], [140, 200, 60], [193, 0, 32], [0, 83, 91], [244, 200, 180],
];

/** Red, green and blue of a class or a point. */
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

/** Draw the classes of `mask` in their colours over the canvas, without the `hidden` ones. */
export function drawMask(canvas, mask, overlay, opacity, hidden) {
  const layer = document.createElement("canvas");
  layer.width = canvas.width;
  layer.height = canvas.height;
  const context = layer.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingEnabled = false; // classes must not be interpolated
  context.drawImage(mask, 0, 0, layer.width, layer.height);
  const pixels = context.getImageData(0, 0, layer.width, layer.height);
  const palette = paletteOf(overlay, opacity, hidden);
  const words = new Uint32Array(pixels.data.buffer);
  for (let at = 0; at < words.length; at += 1) words[at] = palette[words[at] & 255];
  context.putImageData(pixels, 0, 0);
  canvas.getContext("2d").drawImage(layer, 0, 0);
}

/** The pixel of each class. */
function paletteOf(overlay, opacity, hidden) {
  const bytes = new Uint8ClampedArray(4 * 256);
  for (let index = 0; index < 256; index += 1) bytes.set([...colour(index), hidden.has(index) ? 0 : 255 * opacity], 4 * index);
  if (overlay.unseen !== null && overlay.unseen < 256) bytes.set([0, 0, 0, 150], 4 * overlay.unseen);
  return new Uint32Array(bytes.buffer);
}

/** Draw the cells of a grid over `area` of a picture of `width`: the effect of each is the opacity of its colour. */
export function drawGrid(canvas, { area: [left, top, right, bottom], grid }, width, opacity, hidden) {
  const context = canvas.getContext("2d");
  const scale = canvas.width / width;
  const [cellWidth, cellHeight] = [(right - left) / grid[0].length, (bottom - top) / grid.length];
  grid.forEach((row, y) => row.forEach((effect, x) => {
    const index = effect >= 0 ? 0 : 1;
    if (hidden.has(index)) return;
    context.fillStyle = `rgb(${colour(index).join(" ")} / ${Math.abs(effect) * opacity})`;
    const corner = [left + x * cellWidth, top + y * cellHeight].map((at) => at * scale);
    context.fillRect(...corner, cellWidth * scale, cellHeight * scale);
  }));
}

/** Length of a pixel of the page in pixels of the canvas: dots and names have the same size on cards, phones and desktops. */
function pixelOf(canvas, large) {
  const usual = large ? 700 : 260; // where the canvas is not on the page
  return Math.max(canvas.width / (canvas.clientWidth || usual), canvas.height / (canvas.clientHeight || usual));
}

const MANY_POINTS = 12; // whose names would cover each other: numbers are drawn instead

/** Draw dots at `points`, in pixels of a picture of `width`, with their names if `large`, else their numbers. Points outside are hollow, at the edge. */
export function drawPoints(canvas, { points, names }, width, hidden, large) {
  const context = canvas.getContext("2d");
  const scale = canvas.width / width;
  const unit = pixelOf(canvas, large);
  const radius = unit * (large ? 6 : 4.5);
  context.lineWidth = radius / 3;
  context.font = `600 ${unit * (large ? 14 : 11)}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  points.forEach(([x, y], number) => {
    if (hidden.has(number)) return;
    const at = [Math.min(Math.max(x * scale, 0), canvas.width), Math.min(Math.max(y * scale, 0), canvas.height)];
    const inside = at[0] === x * scale && at[1] === y * scale;
    context.beginPath();
    context.arc(...at, radius, 0, 2 * Math.PI);
    context.fillStyle = `rgb(${colour(number).join(" ")})`;
    if (inside) context.fill();
    context.strokeStyle = "#fff";
    context.stroke();
    const text = large && points.length <= MANY_POINTS ? names[number] : String(number + 1);
    if (points.length < 2 && text === "1") return;
    const right = at[0] + 2 * radius + context.measureText(text).width < canvas.width;
    context.textAlign = right ? "left" : "right";
    const place = [at[0] + (right ? 1.6 : -1.6) * radius, at[1]];
    context.strokeStyle = "#000";
    context.strokeText(text, ...place);
    context.fillStyle = "#fff";
    context.fillText(text, ...place);
  });
}
