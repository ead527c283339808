// The page's state and keys. Every answer is sent at once, and the next image appears when it has been saved.

import { CLASS_KEYS, find, make, showClasses, showFacts, showOthers, showProgress, showShapes, showStrip, showTrouble,
  toast } from "./panel.js";
import { Stage } from "./stage.js";

const MODE = document.body.dataset.mode;
const RETRY_MS = 1500;
const REASONS = MODE === "adjudicate"
  ? ["not decidable", "bad image", "not ours to judge"] : ["cannot tell", "bad image", "class is missing"];
const state = { turn: null, chosen: null, busy: false, started: 0, waited: 0 };
const stage = new Stage(find("#stage"), { changed: refresh, newName });

async function send(path, message) {
  const response = await fetch(path, { method: "POST", body: JSON.stringify(message),
    headers: { "content-type": "application/json", "x-csrf-token": find("meta[name=csrf]").content } });
  const told = await response.json().catch(() => ({ error: `the server answered ${response.status}` }));
  if (!response.ok) throw Object.assign(new Error(told.error), { status: response.status });
  return told;
}

// Ask again while the server does not answer: the same message, which changes nothing a second time.
async function sendSurely(path, message) {
  for (;;) {
    try {
      const told = await send(path, message);
      showTrouble("");
      return told;
    } catch (error) {
      if (error.status) throw error;
      showTrouble("Not saved yet: the server does not answer. Trying again …");
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

// One request at a time: keys pressed meanwhile are not for the next image.
async function during(work) {
  if (state.busy) return;
  state.busy = true;
  document.body.classList.add("busy");
  try {
    await work();
  } catch (error) {
    if (error.status === 401 || error.status === 403) showTrouble(`Not saved: ${error.message}.`);
    else toast(error.message);
    if (error.status === 409 && find("#trouble").hidden && state.turn?.earlier === null) show(await send("/api/next", {}));
  } finally {
    state.busy = false;
    document.body.classList.remove("busy");
  }
}

function show(turn) {
  state.turn = turn.image ? turn : null;
  document.body.classList.toggle("done", !turn.image);
  document.body.dataset.image = turn.image?.id ?? "";
  document.body.dataset.phase = turn.phase ?? "";
  showProgress(turn.done, turn.total);
  showStrip(turn.strip, turn.classes, reopen);
  find("#finished").hidden = Boolean(turn.image);
  find("#notice").hidden = true;
  if (!turn.image) {
    find("#finished-text").textContent = turn.done ? `${turn.done} images answered, all saved.`
      : "Nothing waits for you in this batch.";
    stage.clear();
    stage.draw();
    return;
  }
  begin(turn);
}

function begin(turn) {
  const { image, earlier, suggestion } = turn;
  const known = earlier ?? suggestion;
  state.chosen = known?.name ?? null;
  state.waited = 0;
  state.started = performance.now();
  const others = turn.others.flatMap((one) => one.shapes);
  stage.show(`/image/${image.id}`, [image.width, image.height], { shapes: known?.shapes ?? [], others, classes: turn.classes })
    .then(() => { state.started = performance.now(); document.body.dataset.shown = image.id; })
    .catch(() => notice("This image cannot be shown any more: skip it, with that reason."));
  showFacts(image);
  showOthers(turn);
  notice(noticeOf(turn));
  refresh();
  turn.strip.filter((one) => one.state === "next").slice(0, 2).forEach((one) => { new Image().src = `/image/${one.id}`; });
}

function noticeOf(turn) {
  if (turn.phase === "blind") return "Your own verdict first: the others’ answers follow.";
  if (turn.others.length) {
    const own = turn.earlier?.name ?? (turn.earlier?.skipped ? "rejected" : "shapes");
    return turn.earlier?.phase === "blind" ? `You said ${own}. Enter keeps it, another class changes it.` : "";
  }
  if (turn.earlier) return `You said ${turn.earlier.name ?? (turn.earlier.skipped || "shapes")}. Enter keeps it.`;
  if (turn.suggestion) return "The model’s answer is filled in: check it.";
  return "";
}

function notice(text) {
  find("#notice").textContent = text;
  find("#notice").hidden = !text;
}

function refresh() {
  if (!state.turn) return;
  stage.classes = state.turn.classes;
  const selected = stage.shapes[stage.selected];
  find("#classes-title").textContent = selected ? `Class of the ${selected.kind}`
    : MODE === "adjudicate" ? "Your verdict" : "Class";
  showClasses(state.turn.classes, selected ? selected.name : state.chosen, state.turn.suggestion?.name, choose);
  showShapes(stage, (index) => { stage.selected = index; stage.draw(); refresh(); }, (index) => stage.remove(index));
  document.querySelectorAll("[data-tool]").forEach((button) => {
    button.setAttribute("aria-pressed", String(button.dataset.tool === stage.tool));
  });
}

function newName() {
  const last = stage.shapes.at(-1)?.name;
  return state.chosen ?? last ?? state.turn.classes[0] ?? "";
}

function choose(name) {
  const selected = stage.shapes[stage.selected];
  if (selected) selected.name = name;
  if (!selected || state.chosen === null) state.chosen = name;
  stage.draw();
  refresh();
  if (!selected && find("#auto").checked) submit();
}

function submit(skipped = "") {
  if (!state.turn || find("#notice").dataset.blocked) return undefined;
  if (!skipped && state.chosen === null && !stage.shapes.length) {
    return toast("Choose a class, or press s to skip.");
  }
  const { image, phase, earlier } = state.turn;
  const revises = Boolean(earlier) && earlier.phase === phase;
  const message = {
    image_id: image.id, submission: crypto.randomUUID ? crypto.randomUUID() : String(Math.random()).slice(2).padEnd(16, "0"),
    phase, name: skipped ? null : state.chosen ?? stage.shapes[0]?.name ?? null, shapes: skipped ? [] : stage.shapes, skipped,
    lead_time_s: Math.max(0, performance.now() - state.started - state.waited) / 1000, revises,
  };
  return during(async () => {
    const turn = await sendSurely("/api/answer", message);
    show(turn);
    const said = skipped ? `skipped (${skipped})` : message.name ?? `${message.shapes.length} shapes`;
    if (turn.image?.id !== image.id) toast(`Saved: ${said}`, { text: "Undo ⌫", act: back });
  });
}

const back = () => during(async () => show(await send("/api/back", { image_id: state.turn?.image.id ?? null })));
const reopen = (id) => during(async () => show(await send("/api/open", { image_id: id })));
const next = () => during(async () => show(await sendSurely("/api/next", {})));

function openSkip() {
  find("#reason").value = "";
  find("#skip-dialog").returnValue = "";
  find("#skip-dialog").showModal();
}

function openClass() {
  find("#class-name").value = "";
  find("#class-dialog").returnValue = "";
  find("#class-dialog").showModal();
  find("#class-name").focus();
}

async function addClass(name) {
  await during(async () => {
    state.turn.classes = (await send("/api/classes", { name })).classes;
    choose(name.trim());
  });
}

const COMMANDS = {
  b: () => stage.use("box"), p: () => stage.use("polygon"), s: openSkip, c: openClass,
  "+": () => stage.zoom(1.25), "=": () => stage.zoom(1.25), "-": () => stage.zoom(0.8), 0: () => stage.fit(),
  h: () => { stage.hidden = !stage.hidden; stage.draw(); }, a: () => { find("#auto").click(); },
  "?": () => find("#help").showModal(), Escape: () => { stage.selected = null; stage.use("look"); },
  Delete: () => { if (stage.selected !== null) stage.remove(stage.selected); },
  Enter: () => (stage.open ? stage.closePolygon() : submit()), " ": () => (stage.open ? stage.closePolygon() : submit()),
  Backspace: () => {
    if (stage.open) stage.dropCorner();
    else if (stage.selected !== null) stage.remove(stage.selected);
    else back();
  },
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
  if (document.querySelector("dialog[open]")) return void dialogKey(event);
  const onControl = event.target.closest("button, input, a");
  if (onControl && ["Enter", " "].includes(event.key)) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const name = state.turn?.classes[CLASS_KEYS.indexOf(key)];
  const command = COMMANDS[key] ?? (CLASS_KEYS.includes(key) && name !== undefined ? () => choose(name) : null);
  if (!command) return;
  event.preventDefault();
  if (event.repeat && ["Enter", " ", "Backspace"].includes(event.key)) return; // a key held down answers once
  if (state.busy || (!state.turn && !["Backspace", "?"].includes(key))) return;
  command();
});

function dialogKey(event) {
  if (!find("#skip-dialog").open || event.target.id === "reason" && find("#reason").value) return;
  const reason = REASONS[Number(event.key) - 1];
  if (!reason) return;
  event.preventDefault();
  find("#skip-dialog").close("");
  submit(reason);
}

// A button clicked by the pointer gives the keys back to the page.
document.addEventListener("click", (event) => {
  if (event.detail > 0) event.target.closest("button, input[type=checkbox]")?.blur();
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) state.left = performance.now();
  else if (state.left) state.waited += performance.now() - Math.max(state.left, state.started);
});
for (const id of ["skip", "class"]) find(`#${id}-cancel`).addEventListener("click", () => find(`#${id}-dialog`).close(""));
find("#skip-dialog").addEventListener("close", () => {
  if (find("#skip-dialog").returnValue === "ok") submit(find("#reason").value.trim() || REASONS[0]);
});
find("#class-dialog").addEventListener("close", () => {
  if (find("#class-dialog").returnValue === "ok" && find("#class-name").value.trim()) addClass(find("#class-name").value);
});
find("#reasons").replaceChildren(...REASONS.map((reason, index) => make("button",
  { type: "button", text: `${reason} `, onclick: () => { find("#skip-dialog").close(""); submit(reason); } },
  make("kbd", { text: index + 1 }))));
document.querySelectorAll("[data-tool]").forEach((one) => one.addEventListener("click", () => stage.use(one.dataset.tool)));
document.querySelectorAll("[data-zoom]").forEach((one) => one.addEventListener("click", () => (
  { in: () => stage.zoom(1.25), out: () => stage.zoom(0.8), fit: () => stage.fit() })[one.dataset.zoom]()));
for (const [id, act] of Object.entries({ skip: openSkip, "add-class": openClass, back, next: () => submit(), more: next,
  "help-button": COMMANDS["?"] })) find(`#${id}`).addEventListener("click", act);
find("#auto").checked = sessionStorage.getItem("auto") === "yes";
find("#auto").addEventListener("change", () => sessionStorage.setItem("auto", find("#auto").checked ? "yes" : "no"));
next();
