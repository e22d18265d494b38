// How a picture becomes the model's input: the same pixels as the training's preprocessing.
//
// Browsers scale pictures each in their own way, so the scaling is done here: Pillow's two-pass
// resampling (filters widened when shrinking, 22-bit fixed-point weights, rounding to 8 bits
// between the passes), and timm's evaluation geometry (resize, then the middle).

const PRECISION_BITS = 22;
const HALF = 1 << (PRECISION_BITS - 1);
const STRIP_PIXELS = 1 << 21;

const sinc = (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

// Pillow's filters: half the width at scale 1, and the weight at a distance.
const FILTERS = {
  box: { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  hamming: {
    support: 1,
    weight: (x) => (Math.abs(x) >= 1 ? 0 : sinc(x) * (0.54 + 0.46 * Math.cos(Math.PI * x))),
  },
  bicubic: {
    support: 2,
    weight: (value) => {
      const x = Math.abs(value);
      if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
      return x < 2 ? -0.5 * (((x - 5) * x + 8) * x - 4) : 0;
    },
  },
  lanczos: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/** Python's round(): halves go to the even neighbour. */
export function roundHalfEven(x) {
  const low = Math.floor(x);
  const rest = x - low;
  if (rest !== 0.5) return Math.round(x);
  return low % 2 === 0 ? low : low + 1;
}

/** Size [width, height] after resizing, and where the model's square begins in it, in pixels. */
export function geometry(width, height, settings) {
  const side = settings.image_size;
  const target = Math.floor(side / settings.crop_pct);
  let resized;
  if (settings.crop_mode === "squash") {
    resized = [target, target];
  } else if (settings.crop_mode === "border") {
    const ratio = Math.max(width / target, height / target);
    resized = [roundHalfEven(width / ratio), roundHalfEven(height / ratio)];
  } else if (width <= height) {
    resized = [target, Math.trunc((target * height) / width)];
  } else {
    resized = [Math.trunc((target * width) / height), target];
  }
  const start = (size) =>
    size < side ? -Math.floor((side - size) / 2) : roundHalfEven((size - side) / 2);
  return { resized, left: start(resized[0]), top: start(resized[1]) };
}

/**
 * Fixed-point weights of the output pixels from `first` to before `last` along one axis.
 * Returns {starts, counts, weights, taps}: output i reads counts[i] inputs from starts[i] on.
 */
export function kernels(inSize, outSize, first, last, interpolation) {
  const scale = inSize / outSize;
  if (interpolation === "nearest") return nearest(scale, first, last);
  const filter = FILTERS[interpolation];
  const widen = Math.max(scale, 1);
  const support = filter.support * widen;
  const taps = Math.ceil(support) * 2 + 1;
  const starts = new Int32Array(last - first);
  const counts = new Int32Array(last - first);
  const weights = new Int32Array((last - first) * taps);
  for (let out = first; out < last; out++) {
    const center = (out + 0.5) * scale;
    const low = Math.max(0, Math.trunc(center - support + 0.5));
    const high = Math.min(inSize, Math.trunc(center + support + 0.5));
    const exact = [];
    for (let x = low; x < high; x++) exact.push(filter.weight((x - center + 0.5) / widen));
    const sum = exact.reduce((total, weight) => total + weight, 0);
    starts[out - first] = low;
    counts[out - first] = high - low;
    exact.forEach((weight, index) => {
      const fixed = (sum === 0 ? weight : weight / sum) * (1 << PRECISION_BITS);
      weights[(out - first) * taps + index] = Math.trunc(fixed < 0 ? fixed - 0.5 : fixed + 0.5);
    });
  }
  return { starts, counts, weights, taps };
}

function nearest(scale, first, last) {
  const count = last - first;
  const starts = new Int32Array(count);
  let center = 0.5 * scale;
  for (let out = 0; out < last; out++, center += scale) { // summed up, as Pillow does it
    if (out >= first) starts[out - first] = Math.floor(center);
  }
  const weights = new Int32Array(count).fill(1 << PRECISION_BITS);
  return { starts, counts: new Int32Array(count).fill(1), weights, taps: 1 };
}

/** One output row, RGB, from one input row, RGBA; the weights say which pixels count. */
function scaleRow(input, from, kernel, output, to) {
  const { starts, counts, weights, taps } = kernel;
  for (let x = 0; x < starts.length; x++) {
    let red = HALF, green = HALF, blue = HALF;
    let at = from + starts[x] * 4;
    const end = x * taps + counts[x];
    for (let k = x * taps; k < end; k++, at += 4) {
      red = (red + Math.imul(input[at], weights[k])) | 0;
      green = (green + Math.imul(input[at + 1], weights[k])) | 0;
      blue = (blue + Math.imul(input[at + 2], weights[k])) | 0;
    }
    output[to + x * 3] = red >> PRECISION_BITS; // clamped to 0..255 by the array itself
    output[to + x * 3 + 1] = green >> PRECISION_BITS;
    output[to + x * 3 + 2] = blue >> PRECISION_BITS;
  }
}

/** The second pass: `rows` holds input rows of `length` values from row `offset` on. */
function scaleColumns(rows, length, offset, kernel) {
  const { starts, counts, weights, taps } = kernel;
  const output = new Uint8ClampedArray(starts.length * length);
  for (let y = 0; y < starts.length; y++) {
    for (let x = 0; x < length; x++) {
      let value = HALF;
      let at = (starts[y] - offset) * length + x;
      for (let k = 0; k < counts[y]; k++, at += length) {
        value = (value + Math.imul(rows[at], weights[y * taps + k])) | 0;
      }
      output[y * length + x] = value >> PRECISION_BITS;
    }
  }
  return output;
}

/**
 * The part of the picture that the model sees.
 *
 * picture: {width, height, rows(top, count)}, the last giving RGBA bytes of whole rows; it is read
 * in strips from top to bottom, so that a picture of many megapixels needs little memory.
 * Returns RGB bytes [S, S, 3].
 */
export function view(picture, settings) {
  const side = settings.image_size;
  const { width, height } = picture;
  const { resized, left, top } = geometry(width, height, settings);
  const [fromX, fromY] = [Math.max(0, left), Math.max(0, top)];
  const [toX, toY] = [Math.min(resized[0], left + side), Math.min(resized[1], top + side)];
  const across = kernels(width, resized[0], fromX, toX, settings.interpolation);
  const down = kernels(height, resized[1], fromY, toY, settings.interpolation);
  const firstRow = down.starts[0];
  const lastRow = Math.max(...down.starts.map((start, i) => start + down.counts[i]));

  const length = (toX - fromX) * 3;
  const narrow = new Uint8ClampedArray((lastRow - firstRow) * length);
  const strip = Math.max(1, Math.floor(STRIP_PIXELS / width));
  for (let row = firstRow; row < lastRow; row += strip) {
    const count = Math.min(strip, lastRow - row);
    const rows = picture.rows(row, count);
    for (let y = 0; y < count; y++) {
      scaleRow(rows, y * width * 4, across, narrow, (row - firstRow + y) * length);
    }
  }
  const seen = scaleColumns(narrow, length, firstRow, down);

  const fill = settings.crop_mode === "border" ? settings.mean.map((m) => roundHalfEven(255 * m)) : [0, 0, 0];
  const square = new Uint8ClampedArray(side * side * 3).map((_, i) => fill[i % 3]);
  for (let y = 0; y < toY - fromY; y++) {
    const to = ((fromY - top + y) * side + (fromX - left)) * 3;
    square.set(seen.subarray(y * length, (y + 1) * length), to);
  }
  return square;
}

/** RGB bytes [S, S, 3] as the model's input, float32 [1, 3, S, S]. */
export function normalize(square, settings) {
  const plane = settings.image_size ** 2;
  const values = new Float32Array(plane * 3);
  for (let channel = 0; channel < 3; channel++) {
    const mean = settings.mean[channel];
    const std = settings.std[channel];
    for (let i = 0; i < plane; i++) {
      values[channel * plane + i] = (square[i * 3 + channel] / 255 - mean) / std;
    }
  }
  return values;
}
