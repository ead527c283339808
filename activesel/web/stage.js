// The image and what is drawn on it: zoom, pan, boxes and polygons. Knows nothing of classes' keys or of the server.

import { colourOf, corners, drawShape, element, moved, ordered, paintMask, toImage, toScreen } from "./shapes.js";

const MAX_SCALE = 40, CLOSE_PX = 10, LEAST_PX = 4;

export class Stage {
  // changed: called after every change of the shapes, the selection or the tool; newName: the class of a new shape.
  constructor(root, { changed, newName }) {
    this.root = root;
    this.picture = root.querySelector("#picture");
    this.canvas = root.querySelector("#masks");
    this.svg = root.querySelector("#overlay");
    this.changed = changed;
    this.newName = newName;
    this.view = { scale: 1, x: 0, y: 0 };
    this.size = [1, 1];
    this.classes = [];
    this.clear();
    new ResizeObserver(() => this.fit()).observe(root);
    root.addEventListener("pointerdown", (event) => this.press(event));
    root.addEventListener("pointermove", (event) => this.move(event));
    root.addEventListener("pointerup", (event) => this.release(event));
    root.addEventListener("pointercancel", () => { this.drag = null; this.draw(); });
    root.addEventListener("dblclick", (event) => this.tool === "polygon" && this.closePolygon(event));
    root.addEventListener("contextmenu", (event) => event.preventDefault());
    root.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
  }

  clear() {
    Object.assign(this, { shapes: [], others: [], selected: null, tool: "look", drag: null, open: null, hidden: false });
  }

  // Resolves when the image can be seen; rejects where it cannot be loaded.
  async show(url, size, { shapes, others, classes }) {
    this.clear();
    Object.assign(this, { size, classes, shapes: shapes.map((one) => ({ ...one })), others });
    const [width, height] = size;
    for (const part of [this.picture, this.canvas]) {
      part.style.width = `${width}px`;
      part.style.height = `${height}px`;
    }
    this.picture.src = url;
    this.fit();
    await this.picture.decode();
  }

  fit() {
    const { width, height } = this.root.getBoundingClientRect();
    const scale = Math.min((width - 24) / this.size[0], (height - 72) / this.size[1], MAX_SCALE);
    this.view = { scale: Math.max(scale, 0.001), x: (width - this.size[0] * scale) / 2,
      y: (height - 48 - this.size[1] * scale) / 2 };
    this.least = this.view.scale / 2;
    this.draw();
  }

  zoom(factor, at = null) {
    const { width, height } = this.root.getBoundingClientRect();
    const [x, y] = at ?? [width / 2, height / 2];
    const scale = Math.min(MAX_SCALE, Math.max(this.least, this.view.scale * factor));
    const kept = toImage(this.view, [x, y]);
    this.view = { scale, x: x - kept[0] * scale, y: y - kept[1] * scale };
    this.draw();
  }

  wheel(event) {
    event.preventDefault();
    this.zoom(Math.exp(-Math.max(-240, Math.min(240, event.deltaY)) / 400), this.at(event));
  }

  use(tool) {
    this.tool = tool;
    this.open = null;
    this.drag = null;
    if (tool !== "look") this.selected = null;
    this.draw();
    this.changed();
  }

  at(event) {
    const box = this.root.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  inside(point) {
    return point.map((value, axis) => Math.min(this.size[axis], Math.max(0, value)));
  }

  press(event) {
    if (event.target.closest("button, a, #finished")) return;
    const at = this.at(event), point = this.inside(toImage(this.view, at));
    this.root.setPointerCapture(event.pointerId);
    if (event.button !== 0) {
      this.drag = { kind: "pan", from: at, view: { ...this.view } };
    } else if (this.tool === "box") {
      this.drag = { kind: "box", from: point, to: point, at };
    } else if (this.tool === "polygon") {
      this.addCorner(point, at);
    } else {
      this.pressShape(event, at, point);
    }
    this.draw();
  }

  pressShape(event, at, point) {
    const { corner, index } = event.target.dataset;
    if (corner !== undefined && this.selected !== null) {
      this.drag = { kind: "move", corner: Number(corner), from: point, shape: this.shapes[this.selected] };
    } else if (index !== undefined) {
      const again = this.selected === Number(index);
      this.selected = Number(index);
      const shape = this.shapes[this.selected];
      if (again && shape.kind !== "mask") this.drag = { kind: "move", corner: null, from: point, shape };
      this.changed();
    } else {
      this.drag = { kind: "pan", from: at, view: { ...this.view } };
      if (this.selected !== null) { this.selected = null; this.changed(); }
    }
  }

  addCorner(point, at) {
    this.open ??= [];
    const first = this.open.length ? toScreen(this.view, this.open[0]) : null;
    if (this.open.length >= 3 && Math.hypot(first[0] - at[0], first[1] - at[1]) <= CLOSE_PX) {
      this.closePolygon();
    } else {
      this.open.push(point);
    }
  }

  move(event) {
    const at = this.at(event), point = this.inside(toImage(this.view, at));
    this.pointer = point;
    if (this.drag?.kind === "pan") {
      this.view = { scale: this.view.scale, x: this.drag.view.x + at[0] - this.drag.from[0],
        y: this.drag.view.y + at[1] - this.drag.from[1] };
    } else if (this.drag?.kind === "box") {
      this.drag.to = point;
    } else if (this.drag?.kind === "move") {
      const by = [point[0] - this.drag.from[0], point[1] - this.drag.from[1]];
      this.shapes[this.selected] = moved(this.drag.shape, this.drag.corner, by, this.size);
    } else if (!this.open) {
      return;
    }
    this.draw();
  }

  release(event) {
    const drag = this.drag;
    this.drag = null;
    if (drag?.kind === "box") {
      const at = this.at(event);
      if (Math.min(Math.abs(at[0] - drag.at[0]), Math.abs(at[1] - drag.at[1])) >= LEAST_PX) {
        this.add(ordered({ kind: "box", x0: drag.from[0], y0: drag.from[1], x1: drag.to[0], y1: drag.to[1] }));
      }
    } else if (drag?.kind === "move") {
      this.shapes[this.selected] = ordered(this.shapes[this.selected]);
      this.changed();
    }
    this.draw();
  }

  closePolygon(event = null) {
    let points = this.open ?? [];
    if (event !== null) points = points.slice(0, -1); // the second of the two clicks has set a corner too
    this.open = null;
    if (points.length >= 3) this.add({ kind: "polygon", points });
    this.draw();
  }

  dropCorner() {
    this.open.pop();
    if (!this.open.length) this.open = null;
    this.draw();
  }

  add(shape) {
    this.shapes.push({ ...shape, name: this.newName() });
    this.selected = this.shapes.length - 1;
    this.tool = "look";
    this.changed();
    this.draw();
  }

  remove(index) {
    this.shapes.splice(index, 1);
    this.selected = null;
    this.changed();
    this.draw();
  }

  draw() {
    const { scale, x, y } = this.view;
    for (const part of [this.picture, this.canvas]) part.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
    this.root.classList.toggle("coarse", scale >= 3);
    this.root.dataset.tool = this.drag?.kind === "pan" ? "panning" : this.tool;
    this.svg.replaceChildren(...(this.hidden ? [] : this.drawn()));
    this.paintMasks();
    this.root.querySelector("#zoom").textContent = `${Math.round(scale * 100)} %`;
  }

  drawn() {
    const others = this.others.map((one) => drawShape(one, this.view, colourOf(this.classes, one.name), { dashed: true }));
    const own = this.shapes.map((one, index) => drawShape(one, this.view, colourOf(this.classes, one.name),
      { selected: index === this.selected, index }));
    return [...others, ...own, ...this.begun()];
  }

  begun() {
    if (this.drag?.kind === "box") {
      const { from, to } = this.drag;
      const shape = { kind: "box", name: "", x0: from[0], y0: from[1], x1: to[0], y1: to[1] };
      return [drawShape(shape, this.view, "#ffffff")];
    }
    if (!this.open) return [];
    const points = [...this.open, ...(this.pointer ? [this.pointer] : [])].map((one) => toScreen(this.view, one));
    const [first] = points;
    return [element("polyline", { class: "open", points: points.map((one) => one.join(",")).join(" ") }),
      element("circle", { class: "first", cx: first[0], cy: first[1], r: this.open.length >= 3 ? 7 : 4 })];
  }

  paintMasks() {
    const masks = this.hidden ? [] : [...this.others, ...this.shapes].filter((one) => one.kind === "mask");
    this.canvas.hidden = !masks.length;
    const key = JSON.stringify(masks.map((one) => [one.name, one.left, one.top, one.runs.length]));
    if (!masks.length || key === this.painted) return;
    this.painted = key;
    [this.canvas.width, this.canvas.height] = this.size;
    const context = this.canvas.getContext("2d");
    for (const one of masks) paintMask(context, one, colourOf(this.classes, one.name));
  }
}

export { corners };
