// Shapes as the server sends them, drawn into an SVG whose units are screen pixels. Pixels of the image come in;
// `view` ({scale, x, y}) takes them to the screen.

const NS = "http://www.w3.org/2000/svg";
// Told apart by most eyes, on dark grey and on most metals; after ten they come again.
export const PALETTE = ["#56b4e9", "#f0a330", "#35c79a", "#f4e56b", "#ff7f66", "#d08ad0", "#9aa5ff", "#a5d65b",
  "#f6a9c9", "#c3cad6"];

export const colourOf = (classes, name) => PALETTE[Math.max(0, classes.indexOf(name)) % PALETTE.length];
export const toScreen = (view, [x, y]) => [x * view.scale + view.x, y * view.scale + view.y];
export const toImage = (view, [x, y]) => [(x - view.x) / view.scale, (y - view.y) / view.scale];

export function corners(shape) {
  if (shape.kind === "polygon") return shape.points;
  if (shape.kind === "box") {
    return [[shape.x0, shape.y0], [shape.x1, shape.y0], [shape.x1, shape.y1], [shape.x0, shape.y1]];
  }
  const right = shape.left + shape.width, bottom = shape.top + shape.height;
  return [[shape.left, shape.top], [right, shape.top], [right, bottom], [shape.left, bottom]];
}

export function element(name, attributes = {}, text = "") {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
}

export function drawShape(shape, view, colour, { selected = false, dashed = false, index = null } = {}) {
  const group = element("g", { class: `shape${selected ? " selected" : ""}${dashed ? " dashed" : ""}` });
  const points = corners(shape).map((corner) => toScreen(view, corner));
  const outline = element("polygon", { points: points.map((point) => point.join(",")).join(" ") });
  group.style.setProperty("--colour", colour);
  if (shape.kind === "mask") outline.classList.add("mask");
  if (index !== null) outline.dataset.index = index;
  group.append(outline);
  const [x, y] = points.reduce((best, point) => (point[1] < best[1] ? point : best));
  group.append(element("text", { x: x + 3, y: Math.max(12, y - 5) }, shape.name));
  if (selected && shape.kind !== "mask") {
    points.forEach(([px, py], corner) => {
      const handle = element("rect", { x: px - 5, y: py - 5, width: 10, height: 10, class: "handle" });
      handle.dataset.corner = corner;
      group.append(handle);
    });
  }
  return group;
}

// Move one corner, or with corner null the whole shape, by image pixels; everything stays inside of the image.
export function moved(shape, corner, [dx, dy], [width, height]) {
  const clip = (value, most) => Math.min(most, Math.max(0, value));
  const points = corners(shape);
  const xs = points.map((point) => point[0]), ys = points.map((point) => point[1]);
  if (corner === null) {
    dx = Math.max(-Math.min(...xs), Math.min(width - Math.max(...xs), dx));
    dy = Math.max(-Math.min(...ys), Math.min(height - Math.max(...ys), dy));
  }
  if (shape.kind === "polygon") {
    return { ...shape, points: points.map(([x, y], i) => (corner === null || corner === i
      ? [clip(x + dx, width), clip(y + dy, height)] : [x, y])) };
  }
  const left = corner === null || corner === 0 || corner === 3, top = corner === null || corner < 2;
  const right = corner === null || corner === 1 || corner === 2, bottom = corner === null || corner > 1;
  return { ...shape,
    x0: clip(shape.x0 + (left ? dx : 0), width), x1: clip(shape.x1 + (right ? dx : 0), width),
    y0: clip(shape.y0 + (top ? dy : 0), height), y1: clip(shape.y1 + (bottom ? dy : 0), height) };
}

// A box may have been pulled inside out: its corners in order again.
export const ordered = (shape) => (shape.kind !== "box" ? shape : { ...shape,
  x0: Math.min(shape.x0, shape.x1), x1: Math.max(shape.x0, shape.x1),
  y0: Math.min(shape.y0, shape.y1), y1: Math.max(shape.y0, shape.y1) });

export function paintMask(context, shape, colour) {
  const image = context.createImageData(shape.width, shape.height);
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  let at = 0;
  shape.runs.forEach((length, i) => {
    if (i % 2) for (let k = at; k < at + length; k += 1) image.data.set([r, g, b, 110], 4 * k);
    at += length;
  });
  const layer = new OffscreenCanvas(shape.width, shape.height);
  layer.getContext("2d").putImageData(image, 0, 0);
  context.drawImage(layer, shape.left, shape.top);
}
