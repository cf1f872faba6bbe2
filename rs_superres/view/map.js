// The map: where things lie on the canvas, and how they get there.
// The unit of the map is a pixel of the result; zoom is in pixels of the screen for each of these.

const canvas = document.getElementById("map"), frame = document.getElementById("view");
const context = canvas.getContext("2d");
const state = { left: "source", right: "result", bands: [0], limits: [[0, 1]], split: 0.5,
  zoom: 1, x: 0, y: 0 };
const MOST_ZOOM = 80;

let pictures = new Map(), waiting = 0, frameAsked = false;

function redraw() {
  if (frameAsked) return;
  frameAsked = true;
  requestAnimationFrame(() => { frameAsked = false; draw(); });
}

// Forget all pictures: bands or limits are others now.
function repaint() {
  pictures = new Map();
  redraw();
}

// The layer that a part shows under a name: an overview has no cubic layer but the source.
function layerOf(part, name) {
  if (name === "difference") return part.layers.cubic ?? null;
  return part.layers[name] ?? (name === "cubic" ? part.layers.source : null);
}

function pictureOf(part, name) {
  const key = `${data.parts.indexOf(part)} ${name}`, known = pictures.get(key);
  if (known !== undefined) return known;
  const mine = pictures;
  mine.set(key, null);
  waiting++;
  paint(part, name).then(picture => mine.set(key, picture), complain).finally(() => {
    waiting--;
    redraw();
  });
  return null;
}

async function paint(part, name) {
  const layer = layerOf(part, name), { bands, limits } = state;
  const picture = document.createElement("canvas");
  [picture.width, picture.height] = [layer.width, layer.height];
  const pen = picture.getContext("2d"), image = pen.createImageData(layer.width, layer.height);
  const read = of => Promise.all(bands.map(band => bandOf(of, band)));
  if (name === "difference")
    colourDifference(await read(part.layers.result), await read(layer), differenceRange(), image.data);
  else if (name === "uncertainty")
    colourUncertainty(await read(layer), uncertaintyRange(), image.data);
  else {
    const table = bands.length === 1 ? data.bands[bands[0]].colours : [];
    colourBands(await read(layer), limits, table, image.data);
  }
  pen.putImageData(image, 0, 0);
  return picture;
}

// The difference that becomes white; its negative becomes black.
function differenceRange() {
  return Math.max(...state.bands.map(band => data.difference[band])) || 1;
}

// The uncertainty with the brightest colour: the 99th percentile of the shown bands.
function uncertaintyRange() {
  const rows = data.uncertainty;
  return Math.max(...state.bands.map(b => rows[rows.length === 1 ? 0 : b][2])) || 1;
}

function complain(error) {
  const problem = document.getElementById("problem");
  problem.hidden = false;
  problem.textContent = typeof DecompressionStream === "undefined"
    ? "This browser is too old for the map: use one from 2023 or later."
    : `The map cannot be drawn: ${error.message ?? error}`;
}

function draw() {
  fitCanvas();
  const { width, height } = canvas, split = Math.round(state.split * width);
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, width, height);
  drawSide(state.left, 0, split);
  drawSide(state.right, split, width);
  drawOutlines();
  document.body.dataset.state = waiting ? "drawing" : "ready";
}

// Left, top, width and height on the canvas of a box on the map.
function onCanvas([left, top, right, bottom]) {
  const { zoom, x, y } = state;
  return [(left - x) * zoom, (top - y) * zoom, (right - left) * zoom, (bottom - top) * zoom];
}

function isSeen([left, top, width, height]) {
  return left < canvas.width && top < canvas.height && left + width > 0 && top + height > 0;
}

function drawSide(name, from, to) {
  context.save();
  context.beginPath();
  context.rect(from, 0, to - from, canvas.height);
  context.clip();
  for (const part of data.parts) {
    const layer = layerOf(part, name), place = onCanvas(part.box);
    if (layer === null || !isSeen(place)) continue;
    const picture = pictureOf(part, name);
    if (!picture) continue;
    context.save();
    context.beginPath();
    context.rect(...place);
    context.clip(); // pixels of the source may stand out
    context.clearRect(...place);
    const box = onCanvas(layer.box);
    // Pixels of an overview mean nothing by themselves; all others stay crisp when they are enlarged.
    context.imageSmoothingEnabled = box[2] < layer.width * (part.overview ? 3 : 1);
    context.imageSmoothingQuality = "high";
    context.drawImage(picture, ...box);
    context.restore();
  }
  context.restore();
}

function drawOutlines() {
  const ratio = devicePixelRatio || 1;
  context.font = `${12 * ratio}px system-ui, sans-serif`;
  for (const part of data.parts) {
    if (part.overview || data.parts.length === 1) continue;
    const [left, top, width, height] = onCanvas(part.box);
    for (const [line, colour] of [[3, "#0009"], [1, "#ffd43b"]]) {
      context.lineWidth = line * ratio;
      context.strokeStyle = colour;
      context.strokeRect(left, top, width, height);
    }
    if (width < 50 * ratio) continue;
    context.fillStyle = "#000a";
    const wide = context.measureText(part.name).width + 8 * ratio;
    context.fillRect(left, top - 18 * ratio, wide, 17 * ratio);
    context.fillStyle = "#ffd43b";
    context.fillText(part.name, left + 4 * ratio, top - 5 * ratio);
  }
}

// Where the map is

function leastZoom() {
  return Math.min(canvas.width / data.width, canvas.height / data.height);
}

function moveTo(x, y, zoom) {
  const least = Math.min(1, leastZoom()) / 2;
  state.zoom = Math.min(MOST_ZOOM, Math.max(least, zoom));
  // The middle of the canvas stays on the result.
  const halfWidth = canvas.width / state.zoom / 2, halfHeight = canvas.height / state.zoom / 2;
  state.x = Math.min(data.width, Math.max(0, x)) - halfWidth;
  state.y = Math.min(data.height, Math.max(0, y)) - halfHeight;
  redraw();
}

function middle() {
  const { zoom, x, y } = state;
  return [x + canvas.width / zoom / 2, y + canvas.height / zoom / 2];
}

// Zoom by a factor, so that a point of the canvas stays where it is.
function zoomAt(factor, px = canvas.width / 2, py = canvas.height / 2) {
  const before = state.zoom, [x, y] = middle();
  const least = Math.min(1, leastZoom()) / 2;
  const zoom = Math.min(MOST_ZOOM, Math.max(least, before * factor));
  const dx = px - canvas.width / 2, dy = py - canvas.height / 2;
  moveTo(x + dx / before - dx / zoom, y + dy / before - dy / zoom, zoom);
}

function panBy(dx, dy) {
  const [x, y] = middle();
  moveTo(x - dx / state.zoom, y - dy / state.zoom, state.zoom);
}

function show([left, top, right, bottom]) {
  const zoom = 0.96 * Math.min(canvas.width / (right - left), canvas.height / (bottom - top));
  moveTo((left + right) / 2, (top + bottom) / 2, zoom > 1 ? Math.floor(zoom * 4) / 4 : zoom);
}

// Give the canvas a pixel for each of the screen's; the middle of the map stays where it is.
function fitCanvas() {
  const ratio = devicePixelRatio || 1;
  const width = Math.max(1, Math.round(frame.clientWidth * ratio));
  const height = Math.max(1, Math.round(frame.clientHeight * ratio));
  if (canvas.width === width && canvas.height === height) return;
  const [x, y] = middle(), zoom = state.zoom * (width / canvas.width);
  [canvas.width, canvas.height] = [width, height];
  if (canvas.dataset.sized) moveTo(x, y, zoom);
  else show([0, 0, data.width, data.height]);
  canvas.dataset.sized = "yes";
}

// The value of a layer's band under a point of the map; null if it is unknown or invalid.
function valueAt(part, name, band, x, y) {
  const layer = layerOf(part, name);
  const known = layer?.ready?.[layer.masks.length === 1 ? 0 : band];
  if (!known) return null;
  const [left, top, right, bottom] = layer.box;
  const column = Math.floor((x - left) / (right - left) * layer.width);
  const row = Math.floor((y - top) / (bottom - top) * layer.height);
  if (column < 0 || row < 0 || column >= layer.width || row >= layer.height) return null;
  const index = row * layer.width + column;
  return known.mask === null || known.mask[index] ? known.values[index] : null;
}

function partAt(x, y) {
  const inside = ({ box: [left, top, right, bottom] }) =>
    x >= left && x < right && y >= top && y < bottom;
  return data.parts.findLast(inside) ?? null;
}
