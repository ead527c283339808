// What stands beside and below the image: classes, shapes, facts, others' answers, thumbnails. Text only as text.

import { colourOf } from "./shapes.js";

// Letters that no command has.
export const CLASS_KEYS = [..."123456789", ..."defgijklmnoqrtuvwxyz"];
export const find = (selector) => document.querySelector(selector);

export function make(name, { text = "", className = "", ...rest } = {}, ...children) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  if (className) made.className = className;
  Object.assign(made, rest);
  made.append(...children);
  return made;
}

export function showClasses(classes, chosen, suggested, choose) {
  find("#classes").replaceChildren(...classes.map((name, index) => {
    const button = make("button", { type: "button", className: "class", title: name },
      make("span", { className: "dot" }), make("span", { className: "name", text: name }));
    if (name === suggested) button.append(make("span", { className: "hint", text: "model" }));
    if (CLASS_KEYS[index]) button.append(make("kbd", { text: CLASS_KEYS[index] }));
    button.style.setProperty("--colour", colourOf(classes, name));
    button.setAttribute("aria-pressed", String(name === chosen));
    button.dataset.name = name;
    button.addEventListener("click", () => choose(name));
    return button;
  }));
}

export function showShapes(stage, select, remove) {
  find("#shapes-part").hidden = !stage.shapes.length;
  find("#shapes").replaceChildren(...stage.shapes.map((shape, index) => {
    const row = make("li", { className: index === stage.selected ? "selected" : "" },
      make("button", { type: "button", className: "pick", text: `${shape.kind}: ${shape.name}`, onclick: () => select(index) }),
      make("button", { type: "button", text: "×", title: "Remove (Delete)", ariaLabel: "remove", onclick: () => remove(index) }));
    row.style.setProperty("--colour", colourOf(stage.classes, shape.name));
    return row;
  }));
}

export function showFacts(image) {
  const facts = [["file", image.file], ["size", `${image.width} × ${image.height}`], ...Object.entries(image.meta)];
  find("#facts").replaceChildren(...facts.flatMap(([name, value]) => [make("dt", { text: name }), make("dd", { text: value, title: value })]));
}

export function showOthers(turn) {
  find("#reveal").hidden = !turn.others.length;
  find("#others").replaceChildren(...turn.others.map((one) => {
    const said = one.skipped ? `skipped: ${one.skipped}` : one.name ?? "shapes only";
    const sure = one.score === null ? "" : ` ${Math.round(one.score * 100)} %`;
    const row = make("li", {}, make("span", { className: "dot" }), make("span", { className: "name", text: said + sure }),
      make("span", { className: "hint", text: one.who }));
    row.style.setProperty("--colour", one.name ? colourOf(turn.classes, one.name) : "transparent");
    return row;
  }));
}

export function showProgress(done, total) {
  const bar = document.querySelector(".progress");
  find("#bar").style.width = `${total ? (100 * done) / total : 100}%`;
  bar.setAttribute("aria-valuenow", done);
  bar.setAttribute("aria-valuemax", total);
  find("#count").textContent = `${done} of ${total}`;
}

export function showStrip(strip, classes, open) {
  find("#strip").replaceChildren(...strip.map((one) => {
    const said = one.said || { current: "now", next: "" }[one.state] || "";
    const item = make("button", { type: "button", className: `thumb ${one.state}`, disabled: one.state !== "done", title: said },
      make("img", { src: `/thumbnail/${one.id}`, alt: "", loading: "eager" }), make("span", { text: said }));
    item.style.setProperty("--colour", classes.includes(one.said) ? colourOf(classes, one.said) : "var(--line)");
    item.addEventListener("click", () => open(one.id));
    return item;
  }));
  find("#strip .current")?.scrollIntoView({ block: "nearest", inline: "center" });
}

let fading = 0;
export function toast(text, action = null) {
  const box = find("#toast");
  box.replaceChildren(make("span", { text }), ...(action ? [make("button", { type: "button", text: action.text, onclick: action.act })] : []));
  box.hidden = false;
  clearTimeout(fading);
  fading = setTimeout(() => { box.hidden = true; }, 4000);
}

export function showTrouble(text) {
  find("#trouble").textContent = text;
  find("#trouble").hidden = !text;
}
