"use strict";
// The report's behaviour: the map, the filters and the detail view. Text from the data reaches the page as text only
// (textContent, never innerHTML). Everything can be read without this script.
(() => {
const find = (selector) => document.querySelector(selector);
const findAll = (selector) => [...document.querySelectorAll(selector)];
const readData = (id) => JSON.parse(find("#" + id).textContent);
const make = (tag, text, className) => {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
};
const formatCount = (n) => n.toLocaleString("en");
const percent = (share) => Math.round(share * 100) + " %";
const fileName = (path) => path.split(/[\\/]/).pop() || path;

const FIRST_CARDS = 24;  // enough for a first look; a button shows the rest
const picks = readData("picks-data");
const map = readData("map-data");
const matches = picks.map(() => true);  // which picks pass the filters
let selected = -1;  // index of the pick in the detail view

const cardOf = picks.map(() => null);
findAll("[data-i]").forEach((element) => { cardOf[Number(element.dataset.i)] = element; });
const picturesOf = (i) => cardOf[i] ? [...cardOf[i].querySelectorAll("img")] : [];  // the whole, its odd place
const pictureOf = (i) => picturesOf(i)[0];
const titleOf = (pick) => {
  const known = pick.label || pick.predicted;
  if (!known) return `Pick ${pick.rank}`;
  const share = !pick.label && pick.probability !== null ? " " + percent(pick.probability) : "";
  return `Pick ${pick.rank}: ${known}${share}`;
};

// ---------------------------------------------------------------- map
const GRID = 10000, MARGIN = 16, MANY_BADGES = 160;
const home = {scale: 1, x: 0, y: 0};
const view = {...home};
const hiddenLayers = new Set();
const indexOfRank = new Map(picks.map((pick, i) => [pick.rank, i]));
const shapes = map ? map.layers.map((layer) => new Path2D(layer.shape)) : [];

function drawMap(canvas, at, badges) {
  const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  if (!width) return;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const pen = canvas.getContext("2d"), style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  pen.scale(ratio, ratio);
  const grow = Math.min(2.2, Math.sqrt(at.scale));
  map.layers.forEach((layer, number) => {
    if (hiddenLayers.has(number)) return;
    pen.fillStyle = pen.strokeStyle = colour(layer.colour);
    const members = pointsOf[number], numbered = badges && numbersFit(members, at, width, height);
    for (let j = members.length - 1; j >= 0; j--) {  // backwards: the first picks end up on top
      const p = members[j], x = toX(p, at, width), y = toY(p, at, height);
      if (x < -20 || y < -20 || x > width + 20 || y > height + 20) continue;
      if (layer.mark === "badge") drawBadge(pen, number, p, x, y, numbered ? 9 : badges ? 4.5 * grow : 3, numbered, colour);
      else drawMark(pen, layer, number, x, y, (badges ? 1 : 0.7) * grow, colour);
    }
  });
  if (selected >= 0) drawTarget(pen, at, width, height, colour);
}
function drawMark(pen, layer, number, x, y, size, colour) {
  pen.save();
  pen.translate(x, y);
  if (layer.mark === "dot") { pen.scale(2 * size, 2 * size); pen.fill(shapes[number]); }
  else if (layer.mark === "cross") { pen.scale(2.6 * size, 2.6 * size); pen.lineWidth = 0.45; pen.stroke(shapes[number]); }
  else {
    pen.scale(4.6 * size, 4.6 * size);
    pen.fill(shapes[number]);
    pen.lineWidth = 0.22;
    pen.strokeStyle = colour("--panel");
    pen.stroke(shapes[number]);
  }
  pen.restore();
}
function drawBadge(pen, number, p, x, y, radius, numbered, colour) {
  const i = indexOfRank.get(map.rank[p]);
  pen.save();
  pen.globalAlpha = i === undefined || matches[i] ? 1 : 0.15;
  pen.translate(x, y);
  pen.scale(radius, radius);
  pen.fill(shapes[number]);
  pen.lineWidth = 1.4 / radius;
  pen.strokeStyle = colour("--panel");
  pen.stroke(shapes[number]);
  pen.restore();
  if (!numbered || (i !== undefined && !matches[i])) return;
  pen.save();
  pen.fillStyle = colour("--on-accent");
  pen.font = `600 ${map.rank[p] > 99 ? 8 : 10}px Arial, "Liberation Sans", sans-serif`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.fillText(map.rank[p], x, y + 0.5);
  pen.restore();
}
function drawTarget(pen, at, width, height, colour) {
  const p = map.rank.indexOf(picks[selected].rank);
  if (p < 0) return;
  const x = toX(p, at, width), y = toY(p, at, height);
  pen.strokeStyle = colour("--ink");
  pen.lineWidth = 2.5;
  pen.beginPath();
  pen.arc(x, y, 14, 0, 7);
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    pen.moveTo(x + 14 * dx, y + 14 * dy);
    pen.lineTo(x + 22 * dx, y + 22 * dy);
  }
  pen.stroke();
}
const toX = (p, at, width) => MARGIN + (map.x[p] / GRID - at.x) * at.scale * (width - 2 * MARGIN);
const toY = (p, at, height) => MARGIN + (map.y[p] / GRID - at.y) * at.scale * (height - 2 * MARGIN);
function numbersFit(members, at, width, height) {
  const inView = (p) => { const x = toX(p, at, width), y = toY(p, at, height); return x > 0 && y > 0 && x < width && y < height; };
  return members.length <= MANY_BADGES || members.filter(inView).length <= MANY_BADGES;
}
const pointsOf = map ? map.layers.map(() => []) : [];
if (map) {
  map.layer.forEach((layer, p) => pointsOf[layer].push(p));
  pointsOf.forEach((members) => members.sort((a, b) => map.rank[a] - map.rank[b]));
}
const canvas = find("#map"), small = find("#detail-map"), tip = find("#tip");
function redraw() {
  if (!map) return;
  drawMap(canvas, view, true);
  if (find("#detail").open) drawMap(small, home, false);
}
function zoomBy(factor, x = 0.5, y = 0.5) {  // x, y: the place on the canvas, 0..1, that stays where it is
  const scale = Math.min(40, Math.max(1, view.scale * factor));
  view.x += x / view.scale - x / scale;
  view.y += y / view.scale - y / scale;
  view.scale = scale;
  moveBy(0, 0);
}
function moveBy(dx, dy) {
  const keepInside = (value) => Math.min(1 - 0.5 / view.scale, Math.max(-0.5 / view.scale, value));
  view.x = view.scale === 1 ? 0 : keepInside(view.x + dx / view.scale);
  view.y = view.scale === 1 ? 0 : keepInside(view.y + dy / view.scale);
  redraw();
}
function resetView() { Object.assign(view, home); redraw(); }
function nearestPoint(x, y) {
  let best = -1, bestGap = Infinity;
  for (let p = 0; p < map.x.length; p++) {
    if (hiddenLayers.has(map.layer[p])) continue;
    const isPick = map.rank[p] > 0, reach = isPick ? 13 : 8;
    const gap = Math.hypot(toX(p, view, canvas.clientWidth) - x, toY(p, view, canvas.clientHeight) - y);
    if (gap <= reach && gap - (isPick ? 6 : 0) < bestGap) { best = p; bestGap = gap - (isPick ? 6 : 0); }
  }
  return best;
}
function showTip(p, x, y) {
  tip.hidden = p < 0;
  canvas.classList.toggle("pointing", p >= 0 && indexOfRank.has(map.rank[p]));
  if (p < 0) return;
  const i = indexOfRank.get(map.rank[p]), picture = i === undefined ? null : pictureOf(i);
  tip.replaceChildren();
  if (picture) tip.append(Object.assign(make("img"), {src: picture.src, alt: ""}));
  tip.append(make("b", i === undefined ? map.layers[map.layer[p]].text : titleOf(picks[i])));
  const name = i === undefined ? map.names[p] : fileName(picks[i].path);
  if (name) tip.append(make("div", fileName(name), "muted"));
  if (i !== undefined) tip.append(make("div", picks[i].reason));
  const right = x > canvas.clientWidth / 2, low = y > canvas.clientHeight / 2;
  tip.style.left = right ? "auto" : x + 16 + "px";
  tip.style.right = right ? canvas.clientWidth - x + 16 + "px" : "auto";
  tip.style.top = low ? "auto" : y + 12 + "px";
  tip.style.bottom = low ? canvas.clientHeight - y + 12 + "px" : "auto";
}
function startMap() {
  let drag = null;
  const place = (event) => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
  canvas.addEventListener("pointerdown", (event) => { drag = {x: event.clientX, y: event.clientY, moved: false}; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointermove", (event) => {
    if (!drag) return showTip(nearestPoint(...place(event)), ...place(event));
    const dx = event.clientX - drag.x, dy = event.clientY - drag.y;
    if (!drag.moved && Math.hypot(dx, dy) < 4) return;
    Object.assign(drag, {x: event.clientX, y: event.clientY, moved: true});
    canvas.classList.add("dragging");
    moveBy(-dx / canvas.clientWidth, -dy / canvas.clientHeight);
  });
  canvas.addEventListener("pointerup", (event) => {
    const clicked = drag && !drag.moved ? nearestPoint(...place(event)) : -1;
    drag = null;
    canvas.classList.remove("dragging");
    if (clicked >= 0 && indexOfRank.has(map.rank[clicked])) openDetail(indexOfRank.get(map.rank[clicked]));
  });
  canvas.addEventListener("pointercancel", () => { drag = null; });
  canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
  canvas.addEventListener("dblclick", (event) => { const [x, y] = place(event); zoomBy(2, x / canvas.clientWidth, y / canvas.clientHeight); });
  canvas.addEventListener("wheel", (event) => {  // a plain wheel scrolls the page unless the map has been clicked
    if (!event.ctrlKey && document.activeElement !== canvas) return;
    event.preventDefault();
    const [x, y] = place(event);
    zoomBy(Math.exp(-event.deltaY / 400), x / canvas.clientWidth, y / canvas.clientHeight);
  }, {passive: false});
  const keys = {"+": () => zoomBy(1.5), "=": () => zoomBy(1.5), "-": () => zoomBy(1 / 1.5), "0": resetView,
    ArrowLeft: () => moveBy(-0.1, 0), ArrowRight: () => moveBy(0.1, 0), ArrowUp: () => moveBy(0, -0.1), ArrowDown: () => moveBy(0, 0.1)};
  canvas.addEventListener("keydown", (event) => { if (keys[event.key]) { event.preventDefault(); keys[event.key](); } });
  const zooms = {in: () => zoomBy(1.6), out: () => zoomBy(1 / 1.6), reset: resetView};
  findAll("[data-zoom]").forEach((button) => button.addEventListener("click", zooms[button.dataset.zoom]));
  findAll("[data-layer]").forEach((button) => button.addEventListener("click", () => {
    const number = Number(button.dataset.layer), off = !hiddenLayers.delete(number);
    if (off) hiddenLayers.add(number);
    button.setAttribute("aria-pressed", String(!off));
    redraw();
  }));
  new ResizeObserver(redraw).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  matchMedia("print").addEventListener("change", redraw);
}

// ---------------------------------------------------------------- filters and order
const grid = find("#grid"), more = find("#more"), rest = find("#rest");
const restTitle = rest && rest.firstElementChild.textContent;
let showAll = false;
const valueOf = (pick, key) => key.startsWith("meta.") ? pick.meta[key.slice(5)] : pick[key];
const sortValue = (pick, key) => key === "rank" ? -pick.rank : (key.startsWith("score.") ? pick.scores[key.slice(6)] : pick[key]) ?? -Infinity;
const textOf = picks.map((pick) => [pick.path, pick.reason, pick.id, pick.predicted, pick.label, ...Object.values(pick.meta)].join("\n").toLowerCase());
function applyFilters() {
  const wanted = findAll("[data-filter]").filter((box) => box.value).map((box) => [box.dataset.filter, box.value.slice(1)]);
  const words = find("#search").value.toLowerCase().split(/\s+/).filter(Boolean), key = find("#sort").value;
  picks.forEach((pick, i) => {
    matches[i] = wanted.every(([name, value]) => valueOf(pick, name) === value) && words.every((word) => textOf[i].includes(word));
  });
  const order = picks.map((_, i) => i).sort((a, b) => sortValue(picks[b], key) - sortValue(picks[a], key) || a - b);
  let nCards = 0;
  for (const i of order) {
    const element = cardOf[i];
    element.hidden = !matches[i];
    element.parentNode.append(element);
    if (element.parentNode === grid && matches[i]) element.toggleAttribute("data-later", !showAll && ++nCards > FIRST_CARDS);
  }
  const n = matches.filter(Boolean).length;
  find("#shown").textContent = (n === picks.length ? "" : formatCount(n) + " of ") + formatCount(picks.length) + " picks";
  if (more) { more.hidden = nCards <= FIRST_CARDS; more.textContent = `Show all ${nCards} pictures`; }
  if (rest && n < picks.length) {
    rest.firstElementChild.textContent = `${formatCount(n - nCards)} matching picks without pictures`;
    rest.open = nCards === 0 && n > 0;
  } else if (rest) rest.firstElementChild.textContent = restTitle;
  redraw();
  return order;
}
let order = [];
function startFilters() {
  const update = () => { order = applyFilters(); };
  findAll(".controls select").forEach((box) => box.addEventListener("change", update));
  find("#search").addEventListener("input", update);
  find(".controls").addEventListener("submit", (event) => event.preventDefault());
  if (more) more.addEventListener("click", () => { showAll = true; update(); });
  const compact = find("#compact");
  if (compact) compact.addEventListener("click", () => {
    const on = grid.classList.toggle("compact");
    compact.setAttribute("aria-pressed", String(on));
    if (on) { showAll = true; update(); }
  });
  cardOf.forEach((element, i) => element.querySelector(".open").addEventListener("click", () => openDetail(i)));
  update();
}

// ---------------------------------------------------------------- one pick, large
const detail = find("#detail");
function openDetail(i) {
  if (selected >= 0) cardOf[selected].classList.remove("selected");
  selected = i;
  cardOf[i].classList.add("selected");
  if (tip) tip.hidden = true;
  const pick = picks[i], pictures = picturesOf(i).map((picture) => Object.assign(make("img"), {src: picture.src, alt: picture.title || fileName(pick.path)}));
  find("#detail-title").textContent = titleOf(pick);
  find("#detail-picture").replaceChildren(...(pictures.length ? pictures : [make("span", "no preview")]));
  find("#detail-reason").textContent = pick.reason;
  const bars = make("ul", undefined, "bars");
  for (const [name, value] of Object.entries(pick.scores)) {
    const row = make("li"), bar = make("i");
    bar.style.setProperty("--share", value);
    row.append(make("span", name), bar, make("b", value.toFixed(2)));
    bars.append(row);
  }
  find("#detail-scores").replaceChildren(...(bars.children.length ? [bars] : []));
  find("#detail-facts").replaceChildren(...factsOf(pick));
  if (!detail.open) detail.showModal();
  redraw();
}
function factsOf(pick) {
  const file = make("dd");
  file.append(pick.url ? Object.assign(make("a", pick.path), {href: pick.url, target: "_blank", rel: "noopener"}) : pick.path);
  const facts = [["kind", pick.kind], ["label", pick.label],
    ["predicted", pick.predicted && pick.predicted + (pick.probability === null ? "" : ", " + percent(pick.probability))],
    ["stands for", pick.standsFor === null ? null : `${formatCount(pick.standsFor)} unlabelled images`],
    ...Object.entries(pick.meta), ["id", pick.id]];
  const shown = facts.filter(([, value]) => value !== null && value !== "");
  return [make("dt", "file"), file, ...shown.flatMap(([name, value]) => [make("dt", name), make("dd", value)])];
}
function step(by) {
  const visible = order.filter((i) => matches[i]), at = visible.indexOf(selected);
  if (visible.length) openDetail(visible[(at + by + visible.length) % visible.length]);
}
function startDetail() {
  find("#previous").addEventListener("click", () => step(-1));
  find("#next").addEventListener("click", () => step(1));
  find("#close").addEventListener("click", () => detail.close());
  detail.addEventListener("click", (event) => { if (event.target === detail) detail.close(); });
  detail.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
}

if (map) startMap();
if (picks.length) { startFilters(); startDetail(); }
redraw();
document.body.dataset.ready = "true";
})();
