// The controls: lists, the slider, pointers, the wheel and keys.

const element = name => document.getElementById(name);
const titles = Object.fromEntries(data.layers.map(layer => [layer.key, layer.title]));
if ("cubic" in titles) titles.difference = "result − cubic";

function fill(list, options) {
  for (const [value, text] of options) list.add(new Option(text, value));
}

// Layers

for (const side of ["left", "right"]) {
  fill(element(side), Object.entries(titles));
  element(side).addEventListener("change", () => choose(side, element(side).value));
}

function choose(side, name) {
  state[side] = name;
  element(side).value = name;
  element(`${side}-tag`).textContent = titles[name];
  explain();
  redraw();
}

function swap() {
  const { left, right } = state;
  choose("left", right);
  choose("right", left);
}
element("swap").addEventListener("click", swap);

// Say what the colours of the two layers mean that are not the values themselves.
function explain() {
  const legend = element("legend"), shown = [state.left, state.right];
  legend.replaceChildren();
  const add = (kind, text) => {
    const bar = document.createElement("i");
    bar.className = kind;
    legend.append(bar, text);
  };
  if (shown.includes("uncertainty"))
    add("heat", `uncertainty: 0 to ${number(uncertaintyRange())}`);
  if (shown.includes("difference")) {
    const most = differenceRange();
    add("grey", `result − cubic: ${number(-most)} to ${number(most)}`);
  }
  legend.hidden = !legend.childNodes.length;
}

// Bands

const THREE = "three";
fill(element("bands"), [
  ...(data.rgb.length ? [["rgb", "colour"]] : []),
  ...data.bands.map((band, i) => [String(i), `band ${band.label}`]),
  ...(data.bands.length > 1 ? [[THREE, "choose three …"]] : []),
]);
for (const [k, colour] of ["red", "green", "blue"].entries()) {
  fill(element(colour), data.bands.map((band, i) => [String(i), band.label]));
  element(colour).value = String(data.rgb[k] ?? Math.min(k, data.bands.length - 1));
  element(colour).addEventListener("change", chooseBands);
}
element("bands").addEventListener("change", chooseBands);

function chooseBands() {
  const choice = element("bands").value;
  element("three").hidden = choice !== THREE;
  if (choice === "rgb") state.bands = data.rgb;
  else if (choice === THREE)
    state.bands = ["red", "green", "blue"].map(colour => Number(element(colour).value));
  else state.bands = [Number(choice)];
  chooseStretch();
}

// Stretch

const STRETCHES = { // from the percentiles 0, 1, 99 and 100 of the source
  byte: rows => rows.map(() => [0, 255]),
  joint: rows => rows.map(() => [Math.min(...rows.map(r => r[1])), Math.max(...rows.map(r => r[2]))]),
  each: rows => rows.map(r => [r[1], r[2]]),
  full: rows => rows.map(() => [Math.min(...rows.map(r => r[0])), Math.max(...rows.map(r => r[3]))]),
  custom: rows => rows.map(() => [Number(element("low").value), Number(element("high").value)]),
};
fill(element("stretch"), [
  ...(data.bytes ? [["byte", "0 to 255"]] : []),
  ["joint", "1 to 99 % of the source"],
  ...(data.bands.length > 1 ? [["each", "1 to 99 %, band by band"]] : []),
  ["full", "least to greatest"],
  ["custom", "choose …"],
]);
element("stretch").addEventListener("change", () => {
  if (element("stretch").value === "custom") {
    element("low").value = String(Math.min(...state.limits.map(l => l[0])));
    element("high").value = String(Math.max(...state.limits.map(l => l[1])));
  }
  chooseStretch();
});
for (const name of ["low", "high"]) element(name).addEventListener("input", chooseStretch);

function chooseStretch() {
  const choice = element("stretch").value;
  element("custom").hidden = choice !== "custom";
  state.limits = STRETCHES[choice](state.bands.map(band => data.limits[band]));
  explain();
  repaint();
}

// Slider

const handle = element("handle");

function slide(share) {
  state.split = Math.min(1, Math.max(0, share));
  handle.style.setProperty("left", `${100 * state.split}%`);
  handle.setAttribute("aria-valuenow", String(Math.round(100 * state.split)));
  redraw();
}

handle.addEventListener("pointerdown", event => {
  handle.setPointerCapture(event.pointerId);
  event.stopPropagation();
});
handle.addEventListener("pointermove", event => {
  if (!handle.hasPointerCapture(event.pointerId)) return;
  const box = frame.getBoundingClientRect();
  slide((event.clientX - box.left) / box.width);
});
handle.addEventListener("keydown", event => {
  const by = { ArrowLeft: -0.02, ArrowDown: -0.02, ArrowRight: 0.02, ArrowUp: 0.02, PageDown: -0.2,
    PageUp: 0.2, Home: -1, End: 1 }[event.key];
  if (by === undefined) return;
  event.preventDefault();
  slide(state.split + by);
});

// Pointers on the map: one moves it, two zoom too

const pointers = new Map();

function onMap(event) {
  const box = canvas.getBoundingClientRect(), ratio = canvas.width / box.width;
  return [(event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio];
}

function pinched() {
  const [[ax, ay], [bx, by]] = [...pointers.values()];
  return { x: (ax + bx) / 2, y: (ay + by) / 2, apart: Math.hypot(ax - bx, ay - by) };
}

canvas.addEventListener("pointerdown", event => {
  canvas.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, onMap(event));
  read(...onMap(event));
});
canvas.addEventListener("pointermove", event => {
  const now = onMap(event), before = pointers.get(event.pointerId);
  if (before === undefined || pointers.size > 2) { read(...now); return; }
  if (pointers.size === 1) {
    pointers.set(event.pointerId, now);
    panBy(now[0] - before[0], now[1] - before[1]);
    return;
  }
  const old = pinched();
  pointers.set(event.pointerId, now);
  const { x, y, apart } = pinched();
  panBy(x - old.x, y - old.y);
  zoomAt(apart / Math.max(1, old.apart), x, y);
});
for (const kind of ["pointerup", "pointercancel"])
  canvas.addEventListener(kind, event => pointers.delete(event.pointerId));
canvas.addEventListener("dblclick", event => zoomAt(2, ...onMap(event)));
frame.addEventListener("wheel", event => {
  event.preventDefault();
  const lines = event.deltaMode === 1 ? 16 : 1;
  zoomAt(Math.exp(-0.0015 * lines * event.deltaY), ...onMap(event));
}, { passive: false });

// Keys and buttons

const step = () => Math.min(canvas.width, canvas.height) / 8;
const KEYS = {
  ArrowLeft: () => panBy(step(), 0), ArrowRight: () => panBy(-step(), 0),
  ArrowUp: () => panBy(0, step()), ArrowDown: () => panBy(0, -step()),
  "+": () => zoomAt(1.5), "=": () => zoomAt(1.5), "-": () => zoomAt(1 / 1.5),
  0: () => show([0, 0, data.width, data.height]), 1: () => moveTo(...middle(), 1),
  s: swap, S: swap,
};
canvas.addEventListener("keydown", event => {
  const action = event.ctrlKey || event.metaKey || event.altKey ? undefined : KEYS[event.key];
  if (action === undefined) return;
  event.preventDefault();
  action();
  read(canvas.width / 2, canvas.height / 2);
});
element("in").addEventListener("click", () => zoomAt(1.5));
element("out").addEventListener("click", () => zoomAt(1 / 1.5));
element("one").addEventListener("click", () => moveTo(...middle(), 1));
element("eight").addEventListener("click", () => moveTo(...middle(), 8));
for (const part of data.parts) {
  const button = document.createElement("button");
  button.textContent = part.name;
  button.addEventListener("click", () => show(part.box));
  element("parts").append(button);
}

// Values under the pointer

function number(value) {
  if (value === null) return "–";
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)));
}

function read(px, py) {
  const x = state.x + px / state.zoom, y = state.y + py / state.zoom, part = partAt(x, y);
  const readout = element("readout");
  if (part === null) { readout.textContent = "Outside the result."; return; }
  const words = [`column ${Math.floor(x)}, row ${Math.floor(y)}`];
  if (data.transform !== null) {
    const [a, b, c, d, e, f] = data.transform;
    const place = [a * x + b * y + c, d * x + e * y + f].map(v => Number(v.toPrecision(10)));
    words.push(`${place.join(", ")}${data.crs === null ? "" : ` (${data.crs})`}`);
  }
  readout.replaceChildren(words.join(" · "));
  for (const name of new Set([state.left, state.right])) {
    const values = state.bands.map(band => number(valueOf(part, name, band, x, y)));
    const strong = document.createElement("b");
    strong.textContent = values.join(" ");
    readout.append(` · ${titles[name]} `, strong);
  }
  const [unit] = state.bands.map(band => data.bands[band].unit);
  if (unit) readout.append(` ${unit}`);
  if (part.overview) readout.append(" · overview");
}

function valueOf(part, name, band, x, y) {
  if (name !== "difference") return valueAt(part, name, band, x, y);
  const after = valueAt(part, "result", band, x, y), before = valueAt(part, "cubic", band, x, y);
  return after === null || before === null ? null : after - before;
}

// The start

element("bands").value = data.rgb.length ? "rgb" : "0";
element("stretch").value = data.bytes ? "byte" : "joint";
new ResizeObserver(redraw).observe(frame);
addEventListener("resize", redraw); // the ratio of pixels may be another one
fitCanvas();
slide(0.5);
choose("left", "source");
choose("right", "result");
chooseBands();
