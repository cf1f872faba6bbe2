"use strict";
// The pixels of the page: decoding, and turning values into colours.

const data = JSON.parse(document.getElementById("data").textContent);

const TYPES = { uint8: Uint8Array, int8: Int8Array, uint16: Uint16Array, int16: Int16Array,
  float32: Float32Array };
const WORDS = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array };
const HEAT = [[0, 0, 0], [66, 10, 104], [147, 38, 103], [221, 81, 58], [252, 165, 10],
  [252, 255, 164]];

async function inflate(text) {
  const characters = atob(text), bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Undo encoding.py: join the bytes of each number, then add up the differences.
function restore(planes, dtype) {
  const Type = TYPES[dtype], size = Type.BYTES_PER_ELEMENT, count = planes.length / size;
  const words = new WORDS[size](count);
  for (let i = 0, last = 0; i < count; i++) {
    let step = 0;
    for (let k = size - 1; k >= 0; k--) step = step * 256 + planes[k * count + i];
    words[i] = last + step;
    last = words[i];
  }
  return new Type(words.buffer);
}

function unpack(bits, count) {
  const mask = new Uint8Array(count);
  for (let i = 0; i < count; i++) mask[i] = (bits[i >> 3] >> (7 - (i & 7))) & 1;
  return mask;
}

// The band of a layer: {values, mask}, where mask is null if all pixels are valid.
function bandOf(layer, number) {
  const index = layer.bands.length === 1 ? 0 : number;
  layer.decoded ??= [];
  layer.decoded[index] ??= decode(layer, index);
  return layer.decoded[index];
}

async function decode(layer, index) {
  const values = restore(await inflate(layer.bands[index]), layer.dtype);
  const text = layer.masks[index];
  const mask = text === null ? null : unpack(await inflate(text), values.length);
  layer.bands[index] = layer.masks[index] = ""; // the text is needed no more
  const band = { values, mask };
  (layer.ready ??= [])[index] = band;
  return band;
}

// Grey levels from 0 to 255 of a value between two limits.
function grey(value, [low, high]) {
  return (value - low) * (255 / (high > low ? high - low : 1));
}

function heat(share, pixel, at) {
  const place = Math.min(0.9999, Math.max(0, share)) * (HEAT.length - 1), stop = Math.floor(place);
  for (let k = 0; k < 3; k++)
    pixel[at + k] = HEAT[stop][k] + (HEAT[stop + 1][k] - HEAT[stop][k]) * (place - stop);
  pixel[at + 3] = 255;
}

// Colour a layer's bands: one becomes grey, or the colours of its table; three red, green and blue.
function colourBands(bands, limits, table, pixels) {
  for (let i = 0, at = 0; at < pixels.length; i++, at += 4) {
    for (let k = 0; k < 3; k++) {
      const { values, mask } = bands[bands.length === 3 ? k : 0];
      if (mask !== null && !mask[i]) continue;
      pixels[at + k] = grey(values[i], limits[bands.length === 3 ? k : 0]);
      pixels[at + 3] = 255;
    }
    if (table.length && pixels[at + 3]) pixels.set(table[bands[0].values[i]] ?? [0, 0, 0, 255], at);
  }
}

// Colour what a layer has more than another one: grey is nothing.
function colourDifference(bands, others, most, pixels) {
  for (let i = 0, at = 0; at < pixels.length; i++, at += 4) {
    for (let k = 0; k < 3; k++) {
      const c = bands.length === 3 ? k : 0, one = bands[c], other = others[c];
      if ((one.mask !== null && !one.mask[i]) || (other.mask !== null && !other.mask[i])) continue;
      pixels[at + k] = grey(one.values[i] - other.values[i], [-most, most]);
      pixels[at + 3] = 255;
    }
  }
}

// Colour the mean of the bands' uncertainties.
function colourUncertainty(bands, most, pixels) {
  for (let i = 0, at = 0; at < pixels.length; i++, at += 4) {
    let sum = 0, count = 0;
    for (const { values, mask } of bands)
      if (mask === null || mask[i]) { sum += values[i]; count++; }
    if (count) heat(sum / count / most, pixels, at);
  }
}
