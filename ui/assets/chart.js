/* Owns the drawing of ui/chart.py's LiveChart: canvas, legend, tooltip, keyboard, table, downloads.

   This is the body of a function (element, trigger, props, server, upload, watch) that gradio calls
   once for each chart, when it is mounted: in a tab, when the tab is first opened. chart.py puts
   the style sheet in place of %CHART_CSS%.

   Two layers: `.lrc-plot` is painted when the value, the size or the theme changes, `.lrc-hover`
   when the cursor moves. Names and labels in the value are untrusted: only textContent, fillText.
   Parts, in order: numbers, value, scales, painting, labels, page, pointer and keys, downloads. */

const options = "%CHART_OPTIONS%";
const CSS_TEXT = "%CHART_CSS%";
const ROLES = ["train", "valid", "raw", "smooth", "lr", "other"];
const DASHES = { valid: [7, 4], lr: [2, 3], other: [9, 3, 2, 3] };
const MAX_ROWS = 40;
const SNAP_PX = 8;

/* ---- numbers ---- */

const isNum = Number.isFinite;
const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
const median = (list) => quantile(list, 0.5);

function quantile(list, q) {
  const sorted = [...list].sort((a, b) => a - b);
  return sorted[Math.round(q * (sorted.length - 1))];
}

function formatRate(x) {
  if (x === 0) return "0";
  const size = Math.abs(x);
  if (size >= 0.0995 && size < 9950) return String(Number(x.toPrecision(2)));
  return x.toExponential(1).replace(".0e", "e").replace("e+", "e");
}

function formatNumber(x) {
  const size = Math.abs(x);
  if (size >= 1e6 || (size > 0 && size < 1e-3)) return x.toExponential(2).replace("e+", "e");
  if (size >= 1000) return Math.round(x).toLocaleString("en-US");
  return String(Number(x.toPrecision(size < 1 ? 3 : 4)));
}

function format(x, kind) {
  if (!isNum(x)) return "–";
  if (kind === "percent") return `${(100 * x).toFixed(1)}\u00a0%`;
  return kind === "rate" ? formatRate(x) : formatNumber(x);
}

const formatX = (x) => format(x, options.xFormat);
const formatY = (y, axis) => format(y, axis === "right" ? options.y2Format : options.yFormat);
const shorten = (text, n) => (text.length > n ? `${text.slice(0, n - 1)}…` : text);

/* ---- value ---- */

const list = (x) => (Array.isArray(x) ? x : []);
const drawableX = (x) => isNum(x) && (!options.logX || x > 0);

function readValue(raw) {
  let value = {};
  try {
    value = (typeof raw === "string" ? JSON.parse(raw || "{}") : raw) || {};
  } catch (error) {
    console.error("LiveChart: the value is not JSON", error);
  }
  const series = list(value.series).map(readSeries);
  const marks = list(value.marks).filter((m) => drawableX(m.x));
  const xs = sortedUnique(series.flatMap((s) => s.points.map((p) => p[0])));
  return {
    series,
    xs,
    stops: sortedUnique([...xs, ...marks.map((m) => m.x)]), // where the cursor can stand
    band: list(value.band).filter((b) => drawableX(b[0]) && isNum(b[1]) && isNum(b[2])),
    bandLabel: String(value.band_label || ""),
    shade: list(value.shade).filter((s) => drawableX(s.from) && drawableX(s.to)),
    marks,
    picked: drawableX(value.picked) ? value.picked : null,
    xRange: list(value.x_range).length === 2 && value.x_range.every(drawableX)
      ? value.x_range : null,
    emptyTitle: String(value.empty || options.emptyTitle),
  };
}

const sortedUnique = (xs) => [...new Set(xs)].sort((a, b) => a - b);

function readSeries(raw) {
  const points = list(raw.points)
    .filter((p) => drawableX(p[0]))
    .map((p) => [p[0], isNum(p[1]) ? p[1] : NaN]);
  const at = new Map(); // x -> every y there: repeats of a sweep share their x
  for (const [x, y] of points) {
    if (isNum(y)) at.has(x) ? at.get(x).push(y) : at.set(x, [y]);
  }
  return {
    name: String(raw.name || ""),
    role: ROLES.includes(raw.role) ? raw.role : "other",
    style: raw.style || "line",
    axis: raw.axis === "right" ? "right" : "left",
    points,
    at,
  };
}

const isEmpty = (data) => !data.series.some((s) => s.at.size);
const axisLabel = (s) => (s.axis === "right" ? `${s.name} (right)` : s.name);
const role = (mark) => (mark.role in MARKS ? mark.role : "rule");
const markTitle = (mark) => String(mark.label || mark.role || "");
const markX = (mark) => (markTitle(mark).includes(formatX(mark.x)) ? "" : formatX(mark.x));

function lastPoint(s) {
  return s.points.findLast((p) => isNum(p[1]));
}

function nearestX(xs, x) {
  if (!xs.length) return null;
  const near = options.logX ? (v) => Math.abs(Math.log(v / x)) : (v) => Math.abs(v - x);
  return xs.reduce((best, v) => (near(v) < near(best) ? v : best));
}

/* ---- scales ---- */

function makeScale(low, high, from, to, log) {
  const f = log ? Math.log10 : (x) => x;
  const span = f(high) - f(low) || 1;
  const px = (x) => from + ((f(x) - f(low)) / span) * (to - from);
  const back = (p) => {
    const t = f(low) + ((p - from) / (to - from)) * span;
    return log ? 10 ** t : t;
  };
  return { low, high, px, back, log };
}

function xDomain(data) {
  if (data.xRange && data.xRange[0] < data.xRange[1]) return data.xRange;
  const xs = data.xs.length ? data.xs : options.logX ? [1e-7, 10] : [0, 1];
  const [low, high] = [xs[0], xs[xs.length - 1]];
  if (low < high) return [low, high];
  return options.logX ? [low / 10, high * 10] : [low - 0.5, high + 0.5];
}

/* How far up a loss axis reaches: at least to the level the curves start from, raw points included.
   A diverging loss may be 1e6 times the interesting part, so a sweep (log x) ends at twice the fall
   above its minimum: the dip keeps a third of the height, the rest leaves through the top. In
   training a spike is cut likewise, but a long moderate rise is overfitting, and the story. */
function robustTop(series, all) {
  const finite = (s) => s.points.map((p) => p[1]).filter(isNum);
  const known = series.filter((s) => s.at.size);
  const lines = known.filter((s) => s.style === "line" || s.style === "step");
  const main = lines.length ? lines : known;
  const early = (ys) => ys.slice(0, Math.max(3, Math.ceil(ys.length / 12)));
  const start = Math.max(
    ...main.map((s) => median(early(finite(s)))),
    ...known.map((s) => quantile(early(finite(s)), 0.9)),
  );
  const floor = Math.min(...main.flatMap(finite));
  const spread = Math.max(start - floor, 0.15 * Math.abs(start));
  const most = Math.max(...main.map((s) => quantile(finite(s), 0.98)));
  const top = options.logX ? floor + 2 * spread : Math.min(most, floor + 6 * spread);
  return Math.min(Math.max(...all), Math.max(start, top));
}

function lossDomain(series, band) {
  const all = series.flatMap((s) => s.points.map((p) => p[1])).filter(isNum);
  if (!all.length) return [0, 1];
  let low = Math.min(...all, ...band.map((b) => b[1]));
  let high = robustTop(series, all);
  high = Math.max(high, low + 0.2 * Math.abs(high), low + 1e-12);
  if (low >= 0 && low < 0.5 * high) low = 0;
  else low -= 0.08 * (high - low);
  return [low, high + 0.06 * (high - low)];
}

function percentDomain(series) {
  const all = series.flatMap((s) => s.points.map((p) => p[1])).filter(isNum);
  if (!all.length) return [0, 1];
  const [least, most] = [Math.min(...all), Math.max(...all)];
  const high = most > 0.8 ? 1 : Math.min(1, most + 0.1);
  const low = Math.min(least - 0.1 * (high - least), high - 0.08);
  return [Math.max(0, low), high];
}

function yDomain(data, axis) {
  const series = data.series.filter((s) => s.axis === axis);
  const kind = axis === "right" ? options.y2Format : options.yFormat;
  if (kind === "percent") return percentDomain(series);
  return lossDomain(series, axis === "left" ? data.band : []);
}

function niceStep(span, count) {
  const rough = span / Math.max(1, count);
  const unit = 10 ** Math.floor(Math.log10(rough));
  return unit * [1, 2, 2.5, 5, 10].find((m) => m * unit >= rough * 0.999);
}

function linearTicks(low, high, count, kind, whole) {
  let step = niceStep(high - low, count);
  if (whole && high - low >= 1) step = Math.max(1, Math.round(step));
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) {
    const at = i * step || 0; // -0 would be written as such
    ticks.push({ at, text: tickText(at, step, kind) });
  }
  return ticks;
}

function tickText(x, step, kind) {
  if (kind === "rate") return formatRate(x);
  const shown = kind === "percent" ? 100 * step : step;
  if (kind !== "percent" && x !== 0 && (step < 1e-4 || step >= 1e7)) return formatNumber(x);
  const decimals = clamp(-Math.floor(Math.log10(shown) + 1e-9), 0, 6);
  const extra = Math.abs(shown * 10 ** decimals - Math.round(shown * 10 ** decimals)) > 1e-6;
  const digits = decimals + (extra ? 1 : 0);
  if (kind === "percent") return `${(100 * x).toFixed(digits)}\u00a0%`;
  const places = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return x.toLocaleString("en-US", places);
}

function logTicks(low, high, width) {
  const [from, to] = [Math.log10(low), Math.log10(high)];
  const perDecade = width / (to - from);
  const every = Math.max(1, Math.ceil(40 / perDecade));
  const ticks = [];
  for (let d = Math.floor(from); d <= Math.ceil(to); d++) {
    for (let m = 1; m < 10; m++) {
      const x = m * 10 ** d;
      if (x < low * 0.9999 || x > high * 1.0001) continue;
      const named = m === 1 ? d % every === 0 : (m === 2 || m === 5) && perDecade > 150;
      if (m === 1 || perDecade > 34) {
        ticks.push({ at: x, text: named ? formatRate(x) : "", minor: m !== 1 });
      }
    }
  }
  return ticks;
}

/* Everything that maps numbers to pixels for one size of the plot. */
function makeFrame(ctx, width, height, data) {
  const kindY = options.yFormat;
  const [lowY, highY] = yDomain(data, "left");
  const hasRight = options.y2Title !== null && options.y2Title !== undefined;
  const plot = { left: 48, top: 28, right: width - 14, bottom: height - 40 };
  const rows = clamp(Math.round((plot.bottom - plot.top) / 44), 3, 7);
  const yTicks = linearTicks(lowY, highY, rows, kindY);
  const widest = (ticks) => Math.max(0, ...ticks.map((t) => ctx.measureText(t.text).width));
  plot.left = Math.max(width < 420 ? 38 : 46, Math.ceil(widest(yTicks)) + 12);
  const frame = { width, height, plot, yTicks, y2Ticks: [] };
  if (hasRight) {
    const [low, high] = yDomain(data, "right");
    frame.y2Ticks = linearTicks(low, high, rows, options.y2Format);
    plot.right = width - Math.max(46, Math.ceil(widest(frame.y2Ticks)) + 12);
    frame.y2 = makeScale(low, high, plot.bottom, plot.top);
  }
  const [lowX, highX] = xDomain(data);
  const inner = plot.right - plot.left;
  frame.y = makeScale(lowY, highY, plot.bottom, plot.top);
  frame.x = makeScale(lowX, highX, plot.left, plot.right, options.logX);
  frame.xTicks = options.logX
    ? logTicks(lowX, highX, inner)
    : linearTicks(lowX, highX, clamp(Math.round(inner / 64), 2, 10), options.xFormat,
      options.xFormat === "number" && highX - lowX >= 3);
  return frame;
}

const axisOf = (frame, axis) => (axis === "right" && frame.y2 ? frame.y2 : frame.y);

/* Pixels of a y, kept near the plot: a huge number would break the canvas. */
function yPx(frame, axis, y) {
  return clamp(axisOf(frame, axis).px(y), -3 * frame.height, 4 * frame.height);
}

/* ---- painting ---- */

const COLOR_NAMES = ["surface", "text", "line", "muted", "grid", "grid-strong", "axis", "train",
  "valid", "accent", "on-accent", "rule", "diverged", "lr", "ghost", "tip", "on-tip"];
const SERIES_COLOR = { train: "train", raw: "train", smooth: "train", valid: "valid", lr: "lr",
  other: "rule" };

function readTheme() {
  const style = getComputedStyle(root);
  const colors = {};
  for (const name of COLOR_NAMES) colors[name] = style.getPropertyValue(`--lrc-${name}`).trim();
  return { colors, family: style.fontFamily || "sans-serif" };
}

const font = (theme, size, weight = 400) => `${weight} ${size}px ${theme.family}`;
const colorOf = (theme, s) => theme.colors[SERIES_COLOR[s.role]];

function paint(ctx, width, height, theme) {
  ctx.font = font(theme, 12);
  const data = state.data;
  const frame = makeFrame(ctx, width, height, data);
  const empty = isEmpty(data);
  const taken = empty ? [] : paintShades(ctx, frame, data, theme);
  paintGrid(ctx, frame, theme, empty);
  if (empty) {
    paintGhost(ctx, frame, theme);
    return frame;
  }
  ctx.save();
  const { left, top, right, bottom } = frame.plot;
  ctx.beginPath();
  ctx.rect(left - 1, top, right - left + 2, bottom - top + 1);
  ctx.clip();
  paintBand(ctx, frame, data, theme);
  const order = (s) => (s.style === "faint" ? 0 : s.role === "valid" ? 2 : 1);
  for (const s of [...data.series].sort((a, b) => order(a) - order(b))) {
    paintSeries(ctx, frame, s, theme);
  }
  ctx.restore();
  for (const s of data.series) paintExit(ctx, frame, s, theme);
  paintPick(ctx, frame, theme);
  paintShadeLabels(ctx, taken, theme);
  paintMarks(ctx, frame, data, theme, taken.map((t) => t.box));
  return frame;
}

function paintGrid(ctx, frame, theme, empty) {
  const { colors } = theme;
  const { left, top, right, bottom } = frame.plot;
  const rule = (x0, y0, x1, y1, color) => {
    ctx.strokeStyle = color;
    ctx.beginPath();
    ctx.moveTo(Math.round(x0) + 0.5, Math.round(y0) + 0.5);
    ctx.lineTo(Math.round(x1) + 0.5, Math.round(y1) + 0.5);
    ctx.stroke();
  };
  ctx.lineWidth = 1;
  ctx.setLineDash([]);
  for (const t of frame.xTicks) {
    const x = frame.x.px(t.at);
    rule(x, top, x, bottom, t.minor ? colors.grid : colors["grid-strong"]);
    if (t.text) rule(x, bottom, x, bottom + 4, colors.axis);
  }
  for (const t of frame.yTicks) {
    rule(left, frame.y.px(t.at), right, frame.y.px(t.at), colors["grid-strong"]);
  }
  rule(left, bottom, right, bottom, colors.axis);
  paintTickTexts(ctx, frame, theme, empty);
}

function paintTickTexts(ctx, frame, theme, empty) {
  const { left, right, bottom } = frame.plot;
  ctx.font = font(theme, 12);
  ctx.fillStyle = theme.colors.muted;
  ctx.textBaseline = "middle";
  const y = (t, scale) => clamp(scale.px(t.at), 8, bottom);
  ctx.textAlign = "right";
  if (!empty) for (const t of frame.yTicks) ctx.fillText(t.text, left - 8, y(t, frame.y));
  ctx.textAlign = "left";
  if (!empty) for (const t of frame.y2Ticks) ctx.fillText(t.text, right + 8, y(t, frame.y2));
  ctx.textAlign = "center";
  let free = -Infinity; // where the next x label may start
  if (!empty || state.data.xRange) {
    for (const t of frame.xTicks) {
      const half = ctx.measureText(t.text).width / 2;
      const x = clamp(frame.x.px(t.at), half + 2, frame.width - half - 2);
      if (!t.text || x - half < free) continue;
      ctx.fillText(t.text, x, bottom + 13);
      free = x + half + 8;
    }
  }
  ctx.fillText(options.xTitle, (left + right) / 2, bottom + 31);
  ctx.textAlign = "left";
  ctx.fillText(options.yTitle, 2, 9);
  ctx.textAlign = "right";
  if (frame.y2) ctx.fillText(options.y2Title, frame.width - 2, 9);
}

/* A typical curve behind the empty state's words: what this chart will look like. */
function paintGhost(ctx, frame, theme) {
  const { left, top, right, bottom } = frame.plot;
  const rise = (t) => 6 * Math.max(0, t - 0.74) ** 1.7;
  const sweep = (t) => 0.24 + 0.58 / (1 + Math.exp(-(t - 0.55) * 20)) - rise(t);
  const fall = (t) => 0.9 - 0.75 * Math.exp(-7 * t);
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, right - left, bottom - top);
  ctx.clip();
  ctx.strokeStyle = theme.colors.ghost;
  ctx.lineWidth = 2.5;
  ctx.lineCap = "round";
  ctx.setLineDash([1, 7]);
  ctx.beginPath();
  for (let i = 0; i <= 120; i++) {
    const t = i / 120;
    const x = left + (0.02 + 0.96 * t) * (right - left);
    ctx.lineTo(x, top + (options.logX ? sweep(t) : fall(t)) * (bottom - top));
  }
  ctx.stroke();
  ctx.restore();
}

function paintBand(ctx, frame, data, theme) {
  if (!data.band.length) return;
  const at = (x, y) => ctx.lineTo(frame.x.px(x), yPx(frame, "left", y));
  ctx.beginPath();
  for (const [x, , high] of data.band) at(x, high);
  for (const [x, low] of [...data.band].reverse()) at(x, low);
  ctx.closePath();
  ctx.globalAlpha = 0.16;
  ctx.fillStyle = theme.colors.train;
  ctx.fill();
  ctx.globalAlpha = 1;
}

function paintSeries(ctx, frame, s, theme) {
  ctx.strokeStyle = ctx.fillStyle = colorOf(theme, s);
  ctx.lineJoin = "round";
  ctx.lineCap = "round";
  if (s.style === "faint") {
    ctx.globalAlpha = 0.2;
    ctx.lineWidth = 1;
    ctx.setLineDash([]);
    tracePath(ctx, frame, s);
    ctx.globalAlpha = 0.5;
    paintDots(ctx, frame, s, s.points.length > 150 ? 1.3 : 1.7);
    ctx.globalAlpha = 1;
    return;
  }
  ctx.lineWidth = s.role === "lr" || s.role === "other" ? 1.75 : 2.25;
  ctx.setLineDash(dashOf(s));
  if (s.style !== "dots") tracePath(ctx, frame, s);
  ctx.setLineDash([]);
  const few = s.role === "valid" && s.points.length <= 40;
  if (s.style === "dots" || few) paintDots(ctx, frame, s, few ? 3.5 : 2.5, s.axis === "right");
}

const dashOf = (s) => (s.axis === "right" ? [2, 4] : DASHES[s.role] || []);

function tracePath(ctx, frame, s) {
  let pen = false;
  let before = 0;
  ctx.beginPath();
  for (const [x, y] of s.points) {
    if (!isNum(y)) {
      pen = false;
      continue;
    }
    const [px, py] = [frame.x.px(x), yPx(frame, s.axis, y)];
    if (!pen) ctx.moveTo(px, py);
    else if (s.style === "step") ctx.lineTo(px, before);
    ctx.lineTo(px, py);
    pen = true;
    before = py;
  }
  ctx.stroke();
}

function paintDots(ctx, frame, s, radius, diamond) {
  ctx.beginPath();
  for (const [x, y] of s.points) {
    if (isNum(y)) addDot(ctx, frame.x.px(x), yPx(frame, s.axis, y), radius, diamond);
  }
  ctx.fill();
}

function addDot(ctx, x, y, radius, diamond) {
  if (!diamond) {
    ctx.moveTo(x + radius, y);
    ctx.arc(x, y, radius, 0, 7);
    return;
  }
  const r = radius * 1.35;
  ctx.moveTo(x, y - r);
  for (const [dx, dy] of [[r, 0], [0, r], [-r, 0]]) ctx.lineTo(x + dx, y + dy);
  ctx.closePath();
}

/* A small triangle where a line leaves through the top: the axis is cut, the loss is not flat. */
function paintExit(ctx, frame, s, theme) {
  if (s.style === "faint" || s.style === "dots") return;
  const scale = axisOf(frame, s.axis);
  const known = s.points.filter((p) => isNum(p[1]));
  const beyond = (p) => p[1] > scale.high;
  const out = known.findIndex((p, i) => i > 0 && beyond(p) && !beyond(known[i - 1]));
  if (out < 0) return;
  const [a, b] = [known[out - 1], known[out]];
  const share = clamp((scale.high - a[1]) / (b[1] - a[1]), 0, 1);
  const x = frame.x.px(a[0]) + share * (frame.x.px(b[0]) - frame.x.px(a[0]));
  const y = frame.plot.top - 3;
  ctx.fillStyle = colorOf(theme, s);
  ctx.beginPath();
  ctx.moveTo(x - 5, y);
  ctx.lineTo(x + 5, y);
  ctx.lineTo(x, y - 8);
  ctx.fill();
}

const SHADES = {
  suggested: { color: "accent", alpha: 0.14, edges: true },
  steep: { color: "rule", alpha: 0.05, hatch: 0.2 },
  frozen: { color: "rule", alpha: 0.06, hatch: 0.1 },
  unfrozen: { color: "train", alpha: 0.03, edges: true },
};

function paintShades(ctx, frame, data, theme) {
  const { left, top, right, bottom } = frame.plot;
  return data.shade.map((shade) => {
    const look = SHADES[shade.role] || SHADES.steep;
    const x0 = clamp(frame.x.px(Math.min(shade.from, shade.to)), left, right);
    const x1 = clamp(frame.x.px(Math.max(shade.from, shade.to)), left, right);
    ctx.fillStyle = ctx.strokeStyle = theme.colors[look.color];
    ctx.globalAlpha = look.alpha;
    ctx.fillRect(x0, top, x1 - x0, bottom - top);
    if (look.hatch) paintHatch(ctx, x0, x1, top, bottom, look.hatch);
    ctx.globalAlpha = 0.75;
    ctx.lineWidth = 1;
    ctx.setLineDash([4, 4]);
    for (const x of [x0, x1]) {
      if (!look.edges || x < left + 1 || x > right - 1) continue;
      ctx.beginPath();
      ctx.moveTo(Math.round(x) + 0.5, top);
      ctx.lineTo(Math.round(x) + 0.5, bottom);
      ctx.stroke();
    }
    ctx.setLineDash([]);
    ctx.globalAlpha = 1;
    return { shade, look, x0, x1, frame };
  });
}

function paintHatch(ctx, x0, x1, top, bottom, alpha) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(x0, top, x1 - x0, bottom - top);
  ctx.clip();
  ctx.globalAlpha = alpha;
  ctx.lineWidth = 1;
  ctx.beginPath();
  for (let x = x0 - (bottom - top); x < x1; x += 9) {
    ctx.moveTo(x, bottom);
    ctx.lineTo(x + bottom - top, top);
  }
  ctx.stroke();
  ctx.restore();
}

/* ---- labels ---- */

const MARKS = {
  suggested: { color: "accent", weight: 600, first: 0, pill: true, radius: 7 },
  picked: { color: "text", weight: 600, first: 1, radius: 5 },
  diverged: { color: "diverged", weight: 600, first: 2, radius: 6 },
  best: { color: "text", weight: 600, first: 3, radius: 5.5 },
  rule: { color: "rule", weight: 400, first: 4, radius: 4 },
};

const overlap = (a, b) =>
  Math.max(0, Math.min(a.x + a.w, b.x + b.w) - Math.max(a.x, b.x)) *
  Math.max(0, Math.min(a.y + a.h, b.y + b.h) - Math.max(a.y, b.y));

const grow = (box, by) => ({ x: box.x - by, y: box.y - by, w: box.w + 2 * by, h: box.h + 2 * by });

function haloText(ctx, text, x, y, color, theme) {
  ctx.lineWidth = 4;
  ctx.lineJoin = "round";
  ctx.setLineDash([]);
  ctx.strokeStyle = theme.colors.surface;
  ctx.strokeText(text, x, y);
  ctx.fillStyle = color;
  ctx.fillText(text, x, y);
}

/* Shade labels stand in rows under the plot's top edge; a later one moves down a row. */
function paintShadeLabels(ctx, shades, theme) {
  const done = [];
  for (const item of shades) {
    const { shade, look, x0, x1, frame } = item;
    const text = shorten(String(shade.label || ""), 32);
    ctx.font = font(theme, 12, look === SHADES.suggested ? 600 : 400);
    const w = ctx.measureText(text).width + 6;
    const x = clamp((x0 + x1 - w) / 2, frame.plot.left + 2, frame.plot.right - w - 2);
    const box = { x, y: frame.plot.top + 3, w, h: text ? 17 : 0 };
    while (done.some((d) => overlap(d, box))) box.y += 17;
    done.push(box);
    item.box = box;
    ctx.textAlign = "left";
    ctx.textBaseline = "middle";
    const color = look === SHADES.suggested ? theme.colors.accent : theme.colors.muted;
    haloText(ctx, text, x + 3, box.y + 9, color, theme);
  }
}

function curveAt(data, x) {
  const line = data.series.find((s) => s.role === "smooth" && s.axis === "left") ||
    data.series.find((s) => s.style === "line" && s.axis === "left") || data.series[0];
  const known = line.points.filter((p) => isNum(p[1]));
  const i = known.findIndex((p) => p[0] >= x);
  if (!known.length || i < 0) return known.length ? known[known.length - 1][1] : NaN;
  if (i === 0) return known[0][1];
  const [[x0, y0], [x1, y1]] = [known[i - 1], known[i]];
  return y0 + ((y1 - y0) * (x - x0)) / (x1 - x0 || 1);
}

/* Where the lines run, as a coarse grid of cells, for labels to keep off. */
function curveCells(frame, data) {
  const size = 5;
  const columns = Math.ceil(frame.width / size) + 1;
  const cells = new Uint8Array(columns * (Math.ceil(frame.height / size) + 1));
  const { top, bottom } = frame.plot;
  for (const s of data.series) {
    if (s.style === "faint") continue;
    let from = null;
    for (const [x, y] of s.points) {
      const to = isNum(y) ? [frame.x.px(x), clamp(yPx(frame, s.axis, y), top, bottom)] : null;
      const [x0, y0] = from || to || [];
      const count = to ? Math.ceil(Math.hypot(to[0] - x0, to[1] - y0) / size) : 0;
      for (let i = 0; to && i <= count; i++) {
        const t = i / Math.max(1, count);
        const column = Math.floor((x0 + t * (to[0] - x0)) / size);
        const row = Math.floor((y0 + t * (to[1] - y0)) / size);
        cells[row * columns + column] = 1;
      }
      from = to;
    }
  }
  return (box) => {
    let count = 0;
    for (let row = Math.floor(box.y / size); row <= Math.floor((box.y + box.h) / size); row++) {
      const start = row * columns;
      const last = Math.floor((box.x + box.w) / size);
      for (let i = Math.floor(box.x / size); i <= last; i++) count += cells[start + i] || 0;
    }
    return count;
  };
}

function paintMarks(ctx, frame, data, theme, taken) {
  const { left, top, right, bottom } = frame.plot;
  const items = data.marks.map((mark) => {
    const look = MARKS[role(mark)];
    const y = isNum(mark.y) ? mark.y : mark.role === "diverged" ? Infinity : curveAt(data, mark.x);
    const py = y === Infinity ? top : isNum(y) ? yPx(frame, mark.axis, y) : bottom;
    const x = clamp(frame.x.px(mark.x), left, right);
    return { mark, look, x, y: clamp(py, top + look.radius + 2, bottom - look.radius - 2) };
  });
  items.sort((a, b) => a.look.first - b.look.first);
  const square = (x, y, r) => ({ x: x - r, y: y - r, w: 2 * r, h: 2 * r });
  const dots = items.map((item) => square(item.x, item.y, item.look.radius));
  const curve = curveCells(frame, data);
  for (const item of items) placeLabel(ctx, frame, item, { taken, dots, curve }, theme);
  for (const item of items) paintLeader(ctx, item, theme);
  for (const item of [...items].reverse()) paintDot(ctx, frame, item, theme);
  for (const item of [...items].reverse()) paintLabel(ctx, item, theme);
}

/* Try places around the dot, nearer first; a place costs what it covers. */
function placeLabel(ctx, frame, item, blocked, theme) {
  const { left, top, bottom } = frame.plot;
  const right = frame.y2 ? frame.plot.right : frame.width - 2;
  const { look, x, y } = item;
  item.text = shorten(markTitle(item.mark), 28);
  ctx.font = font(theme, look.pill ? 12.5 : 12, look.weight);
  const w = ctx.measureText(item.text).width + (look.pill ? 18 : 8);
  const h = look.pill ? 22 : 17;
  let best = { cost: Infinity };
  for (let reach = look.radius + 5; reach < 190 && 0.6 * reach < best.cost; reach += 8) {
    for (let turn = 0; turn < 16; turn++) {
      const angle = (turn / 16) * 2 * Math.PI - Math.PI / 4;
      const [ux, uy] = [Math.cos(angle), Math.sin(angle)];
      const [cx, cy] = [x + ux * (reach + w / 2), y + uy * (reach + h / 2)];
      const box = { w, h, x: cx - w / 2, y: cy - h / 2 };
      if (box.x < left + 1 || box.x + w > right - 1 || box.y < top + 1 || box.y + h > bottom - 1) {
        continue;
      }
      const cost = placeCost(box, item, blocked) + 0.6 * reach;
      if (cost < best.cost) best = { cost, box };
    }
  }
  item.box = best.box || { x: clamp(x - w / 2, left, Math.max(left, right - w)), y: top + 2, w, h };
  blocked.taken.push(item.box);
}

function placeCost(box, item, { taken, dots, curve }) {
  const roomy = { x: box.x - 2, y: box.y - 1, w: box.w + 4, h: box.h + 2 };
  const near = gapTo(box, item.x, item.y);
  let cost = 0;
  for (const other of taken) {
    cost += 3 * overlap(roomy, other);
    if (crosses(item, box, other)) cost += 80;
  }
  for (const dot of dots) {
    cost += 2 * overlap(roomy, dot);
    const [dotX, dotY] = [dot.x + dot.w / 2, dot.y + dot.h / 2];
    const own = Math.abs(dotX - item.x) < 1 && Math.abs(dotY - item.y) < 1;
    if (!own && gapTo(box, dotX, dotY) < near + 3) cost += 40; // would be read as that dot's name
    if (!own && crosses(item, box, dot)) cost += 150;
    if (!own && item.look.pill) cost += 0.06 * overlap(box, grow(dot, 18)); // room for their labels
  }
  return cost + 14 * curve(box);
}

const gapTo = (box, x, y) =>
  Math.hypot(clamp(x, box.x, box.x + box.w) - x, clamp(y, box.y, box.y + box.h) - y);

/* Where the leader line meets the label: the box's nearest point to the dot. */
function leaderEnd(item, box) {
  return [clamp(item.x, box.x + 4, box.x + box.w - 4), clamp(item.y, box.y + 1, box.y + box.h - 1)];
}

function crosses(item, box, other) {
  const [ex, ey] = leaderEnd(item, box);
  const step = 5 / Math.max(5, Math.hypot(ex - item.x, ey - item.y));
  for (let t = step; t < 1; t += step) {
    const [x, y] = [item.x + t * (ex - item.x), item.y + t * (ey - item.y)];
    if (x > other.x && x < other.x + other.w && y > other.y && y < other.y + other.h) return true;
  }
  return false;
}

function paintLeader(ctx, item, theme) {
  const [ex, ey] = leaderEnd(item, item.box);
  if (Math.hypot(ex - item.x, ey - item.y) < item.look.radius + 9) return;
  ctx.strokeStyle = theme.colors[item.look.color];
  ctx.globalAlpha = 0.7;
  ctx.lineWidth = 1;
  ctx.setLineDash([]);
  ctx.beginPath();
  ctx.moveTo(item.x, item.y);
  ctx.lineTo(ex, ey);
  ctx.stroke();
  ctx.globalAlpha = 1;
}

function paintDot(ctx, frame, item, theme) {
  const { mark, look: { radius: r, color }, x, y } = item;
  const kind = role(mark);
  ctx.strokeStyle = theme.colors.surface;
  ctx.fillStyle = theme.colors[color];
  ctx.setLineDash([]);
  ctx.lineWidth = 2.5;
  ctx.beginPath();
  if (kind === "diverged") {
    for (const stroke of [[theme.colors.surface, 6], [theme.colors[color], 2.75]]) {
      [ctx.strokeStyle, ctx.lineWidth] = stroke;
      ctx.beginPath();
      for (const d of [-1, 1]) {
        ctx.moveTo(x - r, y - d * r);
        ctx.lineTo(x + r, y + d * r);
      }
      ctx.stroke();
    }
    return;
  }
  if (kind === "picked") ctx.rect(x - r, y - r, 2 * r, 2 * r);
  else addDot(ctx, x, y, r, kind === "best");
  if (kind === "rule") [ctx.fillStyle, ctx.strokeStyle, ctx.lineWidth] =
    [theme.colors.surface, theme.colors.rule, 1.75];
  ctx.fill();
  ctx.stroke();
  if (kind === "suggested") paintTarget(ctx, frame, x, y, theme);
}

/* The suggestion is a ring with a stem down to its rate on the axis. */
function paintTarget(ctx, frame, x, y, theme) {
  ctx.strokeStyle = theme.colors.accent;
  ctx.lineWidth = 1.75;
  ctx.beginPath();
  ctx.arc(x, y, 10, 0, 7);
  ctx.moveTo(x, y + 10);
  ctx.lineTo(x, frame.plot.bottom);
  ctx.stroke();
}

function paintLabel(ctx, item, theme) {
  const { look, box, text } = item;
  ctx.font = font(theme, look.pill ? 12.5 : 12, look.weight);
  ctx.textAlign = "left";
  ctx.textBaseline = "middle";
  const middle = box.y + box.h / 2 + 0.5;
  if (!look.pill) {
    haloText(ctx, text, box.x + 4, middle, theme.colors[look.color], theme);
    return;
  }
  paintPill(ctx, box, theme.colors.accent);
  ctx.fillStyle = theme.colors["on-accent"];
  ctx.fillText(text, box.x + 9, middle);
}

function paintPill(ctx, box, color) {
  ctx.fillStyle = color;
  ctx.beginPath();
  ctx.roundRect(box.x, box.y, box.w, box.h, 5);
  ctx.fill();
}

/* The pick: a line over the whole height, a handle, and its rate on the axis. */
function paintPick(ctx, frame, theme) {
  const pick = currentPick();
  if (pick === null) return;
  const { left, top, right, bottom } = frame.plot;
  const x = frame.x.px(pick);
  if (x < left - 1 || x > right + 1) return;
  ctx.strokeStyle = theme.colors.text;
  ctx.lineWidth = 1.75;
  ctx.setLineDash([]);
  ctx.beginPath();
  ctx.moveTo(x, top);
  ctx.lineTo(x, bottom);
  ctx.stroke();
  paintPill(ctx, { x: x - 5, y: top - 8, w: 10, h: 14 }, theme.colors.text);
  ctx.strokeStyle = theme.colors.surface;
  ctx.lineWidth = 1;
  ctx.beginPath();
  for (const dx of [-1.5, 1.5]) {
    ctx.moveTo(x + dx, top - 4);
    ctx.lineTo(x + dx, top + 2);
  }
  ctx.stroke();
  ctx.font = font(theme, 12, 600);
  const text = formatX(pick);
  const w = ctx.measureText(text).width + 14;
  const box = { x: clamp(x - w / 2, 1, frame.width - w - 1), y: bottom + 4, w, h: 19 };
  paintPill(ctx, box, theme.colors.text);
  ctx.fillStyle = theme.colors.surface;
  ctx.textAlign = "left";
  ctx.textBaseline = "middle";
  ctx.fillText(text, box.x + 7, box.y + 10);
}

/* ---- page: layers, legend, summary, table ---- */

const root = element.querySelector(".lrc");
const part = (name) => root.querySelector(`.lrc-${name}`);
const [plotCanvas, hoverCanvas, tip, table] = ["plot", "hover", "tip", "table"].map(part);
const state = { data: readValue(""), localPick: null, serverPick: null, cursor: null, frame: null,
  theme: null, restyled: true, drag: false, dragged: false, input: "mouse", pointerY: 0,
  scheduled: false, legendKey: "" };

const currentPick = () => (state.localPick !== null ? state.localPick : state.data.picked);

function make(tag, text, className) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  return node;
}

function fitCanvas(canvas, width, height) {
  const ratio = Math.max(1, window.devicePixelRatio || 1);
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w) canvas.width = w;
  if (canvas.height !== h) canvas.height = h;
  const ctx = canvas.getContext("2d");
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.clearRect(0, 0, width, height);
  return ctx;
}

/* Several changes before the next frame cost one painting; a hidden chart costs none. */
function schedule() {
  if (state.scheduled) return;
  state.scheduled = true;
  requestAnimationFrame(() => {
    state.scheduled = false;
    const { clientWidth: width, clientHeight: height } = part("stage");
    if (width < 40 || height < 40) return;
    if (state.restyled) state.theme = readTheme();
    state.restyled = false;
    state.frame = paint(fitCanvas(plotCanvas, width, height), width, height, state.theme);
    paintCursor();
  });
}

function onValue() {
  const data = readValue(props.value);
  const empty = isEmpty(data);
  if (empty || data.picked !== state.serverPick) state.localPick = null;
  state.serverPick = data.picked;
  state.data = data;
  if (state.cursor !== null) state.cursor = nearestX(data.stops, state.cursor);
  part("empty").hidden = !empty;
  part("empty").firstElementChild.textContent = data.emptyTitle;
  for (const name of ["table", "csv", "png"]) button(name).disabled = empty;
  if (empty) showTable(false);
  else if (!table.hidden) fillTable();
  fillLegend();
  describe();
  schedule();
}

function legendItems(data) {
  const named = data.series.filter((s) => s.name);
  const items = [...new Map(named.map((s) => [axisLabel(s), s]))].map(([text, s]) => ({ text, s }));
  if (data.band.length && data.bandLabel) {
    items.push({ text: data.bandLabel, s: { role: "band", style: "band" } });
  }
  return items;
}

function fillLegend() {
  const items = legendItems(state.data);
  const key = JSON.stringify(items.map(({ text, s }) => [text, s.role, s.style]));
  if (key === state.legendKey) return;
  state.legendKey = key;
  part("legend").replaceChildren(...items.map(({ text, s }) => {
    const item = make("li");
    item.dataset.role = s.role;
    item.append(legendKey(s), make("span", shorten(text, 60)));
    return item;
  }));
}

function svg(tag, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

function legendKey(s) {
  const box = svg("svg", { viewBox: "0 0 24 12", width: 22, height: 12, "aria-hidden": "true" });
  const dot = (x, y, r) => svg("circle", { cx: x, cy: y, r, fill: "var(--lrc-key)" });
  if (s.style === "band") {
    box.append(svg("rect", { x: 0, y: 1, width: 24, height: 10, rx: 2, fill: "var(--lrc-key)",
      opacity: 0.3 }));
  } else if (s.style === "faint") {
    for (const [x, y] of [[3, 8], [9, 4], [15, 7], [21, 3]]) box.append(dot(x, y, 1.8));
    box.setAttribute("opacity", "0.65");
  } else {
    if (s.style !== "dots") {
      box.append(svg("line", { x1: 1, y1: 6, x2: 23, y2: 6, stroke: "var(--lrc-key)",
        "stroke-width": 2.25, "stroke-linecap": "round",
        "stroke-dasharray": dashOf(s).join(" ") }));
    }
    if (s.axis === "right" && s.role === "valid") {
      box.append(svg("path", { d: "M12 1.5 16.5 6 12 10.5 7.5 6Z", fill: "var(--lrc-key)" }));
    } else if (s.role === "valid" || s.style === "dots") box.append(dot(12, 6, 3.2));
  }
  return box;
}

/* What a screen reader says; the canvas is a slider over the chart's points once it has any. */
function describe() {
  const { data } = state;
  const empty = isEmpty(data);
  const label = [options.label];
  if (empty) label.push(data.emptyTitle, options.emptyText);
  else {
    label.push(`${data.xs.length} points, last at ${options.xTitle} ${formatX(data.xs.at(-1))}`);
    for (const s of data.series.filter((s) => s.style !== "faint" && s.at.size)) {
      label.push(`${s.name} ${formatY(lastPoint(s)[1], s.axis)}`);
    }
    for (const m of data.marks.filter((m) => m.role !== "rule")) {
      label.push([markTitle(m), markX(m)].filter(Boolean).join(" at "));
    }
    if (currentPick() !== null) label.push(`Picked ${formatX(currentPick())}`);
    label.push(options.pickable ? "Arrow keys move over the points, Enter picks" :
      "Arrow keys move over the points");
  }
  plotCanvas.setAttribute("aria-label", `${label.filter(Boolean).join(". ")}.`);
  plotCanvas.setAttribute("role", empty ? "img" : "slider");
  describeCursor(empty);
}

function describeCursor(empty) {
  const { data, cursor } = state;
  const names = ["valuemin", "valuemax", "valuenow", "valuetext", "readonly"]
    .map((name) => `aria-${name}`);
  if (empty) {
    for (const name of names) plotCanvas.removeAttribute(name);
    return;
  }
  const last = data.stops.length - 1;
  const index = cursor === null ? last : data.stops.indexOf(cursor);
  const rows = cursor === null ? [] : readings(cursor).map((r) => `${r.name} ${r.text}`);
  const here = [`${options.xTitle} ${formatX(data.stops[index])}`, ...rows, ...marksAt(cursor)];
  const values = [0, last, index, here.join(", "), !options.pickable];
  names.forEach((name, i) => plotCanvas.setAttribute(name, String(values[i])));
}

/* What every series says at one x, or at the point nearest to a mark between two points. Repeats
   share an x: their lowest and highest. */
function readings(cursor) {
  const x = nearestX(state.data.xs, cursor);
  return state.data.series.filter((s) => s.at.has(x)).map((s) => {
    const ys = s.at.get(x);
    const ends = ys.length > 1 ? [Math.min(...ys), Math.max(...ys)] : ys;
    return { s, x, name: s.name, text: ends.map((y) => formatY(y, s.axis)).join("–") };
  });
}

const marksAt = (x) => state.data.marks.filter((m) => m.x === x).map(markTitle);

/* At most 40 x: all of a sparse series (epochs), then evenly many of the rest. */
function tableXs() {
  const { xs, series } = state.data;
  const keep = new Set([xs[0], xs.at(-1)]);
  for (const s of series) if (s.at.size <= 12) for (const x of s.at.keys()) keep.add(x);
  const kept = [...keep].slice(0, MAX_ROWS);
  const room = MAX_ROWS - kept.length;
  const stride = (xs.length - 1) / Math.max(1, room - 1);
  for (let i = 0; i < room; i++) kept.push(xs[Math.round(i * stride)]);
  return [...new Set(kept)].sort((a, b) => a - b);
}

function fillTable() {
  const node = make("table");
  const { series, xs } = state.data;
  const rows = tableXs();
  node.append(make("caption", rows.length < xs.length
    ? `${rows.length} of ${xs.length} points; CSV has all of them` : options.label));
  const line = (cells, head) => {
    const row = make("tr");
    cells.forEach((text, i) => {
      const cell = make(head || i === 0 ? "th" : "td", text);
      if (head || i === 0) cell.scope = head ? "col" : "row";
      row.append(cell);
    });
    return row;
  };
  const [head, body] = [make("thead"), make("tbody")];
  head.append(line([options.xTitle, ...series.map((s) => shorten(s.name, 40))], true));
  for (const x of rows) {
    const said = new Map(readings(x).map((r) => [r.s, r.text]));
    body.append(line([formatX(x), ...series.map((s) => said.get(s) || "–")]));
  }
  node.append(head, body);
  const scroll = table.scrollTop;
  table.replaceChildren(node);
  table.scrollTop = scroll;
}

function showTable(open) {
  table.hidden = !open;
  root.classList.toggle("lrc-tabled", open);
  button("table").textContent = open ? "Chart" : "Table";
  if (open) {
    moveCursor(null);
    fillTable();
  }
}

/* ---- pointer and keys ---- */

const HINTS = { mouse: "Click to pick", touch: "Tap to pick", keys: "Enter picks" };

function moveCursor(x) {
  if (x === state.cursor) return;
  state.cursor = x;
  describeCursor(isEmpty(state.data));
  paintCursor();
}

function paintCursor() {
  const { frame, theme, cursor } = state;
  const ctx = frame && fitCanvas(hoverCanvas, frame.width, frame.height);
  tip.hidden = cursor === null || !frame;
  if (tip.hidden) return;
  const { plot } = frame;
  const x = frame.x.px(cursor);
  const point = nearestX(state.data.xs, cursor);
  ctx.strokeStyle = theme.colors.muted;
  ctx.setLineDash([3, 3]);
  ctx.beginPath();
  ctx.moveTo(Math.round(x) + 0.5, plot.top);
  ctx.lineTo(Math.round(x) + 0.5, plot.bottom);
  ctx.stroke();
  ctx.setLineDash([]);
  for (const s of state.data.series) {
    for (const y of s.at.get(point) || []) {
      const py = yPx(frame, s.axis, y);
      if (py < plot.top - 1 || py > plot.bottom + 1) continue;
      ctx.beginPath();
      addDot(ctx, frame.x.px(point), py, s.style === "faint" ? 3 : 4.5, false);
      ctx.fillStyle = colorOf(theme, s);
      ctx.strokeStyle = theme.colors.surface;
      ctx.lineWidth = 2;
      ctx.fill();
      ctx.stroke();
    }
  }
  fillTip(x);
}

function fillTip(x) {
  const { frame, cursor, data } = state;
  const rows = [tipRow(options.xTitle, formatX(cursor), "lrc-tip-x")];
  for (const r of readings(cursor)) rows.push(tipRow(shorten(r.name, 40), r.text));
  for (const m of data.marks) {
    if (Math.abs(frame.x.px(m.x) - x) < 3) {
      rows.push(tipRow(shorten(markTitle(m), 40), markX(m), "lrc-tip-mark"));
    }
  }
  if (options.pickable && cursor !== currentPick()) {
    rows.push(make("div", HINTS[state.input], "lrc-tip-hint"));
  }
  tip.replaceChildren(...rows);
  const gap = 14;
  const right = x + gap + tip.offsetWidth <= frame.width - 4;
  const left = right ? x + gap : x - gap - tip.offsetWidth;
  tip.style.left = `${clamp(left, 4, Math.max(4, frame.width - tip.offsetWidth - 4))}px`;
  const highest = Math.max(4, frame.height - tip.offsetHeight - 4);
  const aside = frame.width > 460 && state.input === "mouse";
  tip.style.top = `${aside ? clamp(state.pointerY - tip.offsetHeight / 2, 4, highest) : 4}px`;
}

function tipRow(name, text, className) {
  const row = make("div", undefined, className);
  row.append(make("span", name), make("span", text));
  return row;
}

/* The x of the cursor at a pixel: a mark's if its dot is there, else the nearest point's. */
function xAtPixel(px) {
  const { frame, data } = state;
  if (!frame || !data.stops.length) return null;
  const gap = (m) => Math.abs(frame.x.px(m.x) - px);
  const mark = data.marks.filter((m) => gap(m) < SNAP_PX / 2).sort((a, b) => gap(a) - gap(b))[0];
  if (mark) return mark.x;
  return nearestX(data.stops, frame.x.back(clamp(px, frame.plot.left, frame.plot.right)));
}

function pointerSpot(event) {
  const box = plotCanvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

function pick(x) {
  if (!options.pickable || x === null) return;
  state.localPick = x;
  schedule();
  describe();
  part("said").textContent = `Picked ${options.xTitle} ${formatX(x)}`;
  trigger("select", { x, value: x, index: state.data.stops.indexOf(x) });
}

function listenToPointer() {
  const nearHandle = (px) => currentPick() !== null && options.pickable && state.frame &&
    Math.abs(px - state.frame.x.px(currentPick())) < SNAP_PX;
  const follow = (event) => {
    const [px, py] = pointerSpot(event);
    state.pointerY = py;
    state.input = event.pointerType === "touch" ? "touch" : "mouse";
    moveCursor(xAtPixel(px));
    return px;
  };
  const on = (name, handle) => plotCanvas.addEventListener(name, handle);
  on("pointerdown", (event) => {
    state.drag = nearHandle(follow(event));
    state.dragged = false;
    if (state.drag) plotCanvas.setPointerCapture(event.pointerId);
  });
  on("pointermove", (event) => {
    plotCanvas.style.cursor = nearHandle(follow(event)) || state.drag ? "ew-resize" : "";
    if (!state.drag || state.cursor === currentPick()) return;
    state.dragged = true;
    state.localPick = state.cursor;
    schedule();
  });
  on("pointerup", () => {
    if (state.dragged) pick(state.localPick);
    state.drag = false;
  });
  on("click", (event) => {
    if (!state.dragged) pick(xAtPixel(pointerSpot(event)[0]));
    state.dragged = false;
  });
  on("pointercancel", () => {
    state.drag = state.dragged = false;
    moveCursor(null);
  });
  on("pointerleave", (event) => {
    if (event.pointerType === "mouse" && !state.drag) moveCursor(null);
  });
}

function listenToKeys() {
  const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10,
    PageUp: 10, Home: -Infinity, End: Infinity };
  plotCanvas.addEventListener("keydown", (event) => {
    const { stops, marks } = state.data;
    if (event.key === "Escape") moveCursor(null);
    if (!stops.length || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key in steps) {
      const suggested = marks.find((m) => m.role === "suggested");
      const start = currentPick() ?? (suggested ? suggested.x : stops.at(-1));
      const from = state.cursor === null ? nearestX(stops, start) : state.cursor;
      const move = state.cursor === null && isNum(steps[event.key]) ? 0 : steps[event.key];
      state.input = "keys";
      moveCursor(stops[clamp(stops.indexOf(from) + move, 0, stops.length - 1)]);
      event.preventDefault();
    } else if ((event.key === "Enter" || event.key === " ") && options.pickable) {
      pick(state.cursor);
      paintCursor();
      event.preventDefault();
    }
  });
  plotCanvas.addEventListener("blur", () => moveCursor(null));
}

/* ---- downloads ---- */

const button = (name) => root.querySelector(`[data-do="${name}"]`);

function save(blob, ending) {
  const link = make("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${options.label.toLowerCase().replace(/[^a-z0-9]+/g, "-") || "chart"}.${ending}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/* One row a point, repeats included. A leading = + - @ in a name would be a formula in a
   spreadsheet: it gets an apostrophe. */
function csvText() {
  const cell = (text) => `"${String(text).replace(/^[=+\-@\t\r]/, "'$&").replaceAll('"', '""')}"`;
  const lines = [["series", options.xTitle, "value"].map(cell).join(",")];
  for (const s of state.data.series) {
    for (const [x, y] of s.points) lines.push(`${cell(s.name)},${x},${isNum(y) ? y : ""}`);
  }
  const band = state.data.bandLabel || "band";
  for (const [x, low, high] of state.data.band) {
    lines.push(`${cell(`${band}, low`)},${x},${low}`, `${cell(`${band}, high`)},${x},${high}`);
  }
  return `${lines.join("\r\n")}\r\n`;
}

/* The chart at twice its size on its own background, with title and legend in the picture. */
function savePng() {
  const { frame, theme } = state;
  if (!frame) return;
  const canvas = make("canvas");
  const ctx = canvas.getContext("2d");
  const items = pngLines(ctx, frame.width, theme);
  const head = 38 + (items.length ? 20 * (items.at(-1).line + 1) : 0);
  [canvas.width, canvas.height] = [2 * (frame.width + 24), 2 * (frame.height + head + 12)];
  ctx.scale(2, 2);
  for (const color of ["#fff", theme.colors.surface]) {
    ctx.fillStyle = color;
    ctx.fillRect(0, 0, canvas.width, canvas.height);
  }
  ctx.translate(12, 0);
  ctx.textBaseline = "middle";
  ctx.font = font(theme, 15, 600);
  ctx.fillStyle = theme.colors.text;
  ctx.fillText(options.label, 0, 20);
  for (const { text, s, x, line } of items) pngLegend(ctx, text, s, x, 44 + 20 * line, theme);
  ctx.translate(0, head);
  paint(ctx, frame.width, frame.height, theme);
  canvas.toBlob((blob) => blob && save(blob, "png"));
}

/* The legend's items with their places, in as many lines as they need. */
function pngLines(ctx, width, theme) {
  ctx.font = font(theme, 12);
  let [x, line] = [0, 0];
  return legendItems(state.data).map(({ text: full, s }) => {
    const text = shorten(full, 60);
    const w = 46 + ctx.measureText(text).width;
    if (x > 0 && x + w - 16 > width) [x, line] = [0, line + 1];
    x += w;
    return { text, s, x: x - w, line };
  });
}

function pngLegend(ctx, text, s, x, y, theme) {
  ctx.strokeStyle = ctx.fillStyle = theme.colors[SERIES_COLOR[s.role] || "train"];
  ctx.globalAlpha = s.style === "band" ? 0.3 : s.style === "faint" ? 0.6 : 1;
  ctx.lineWidth = s.style === "band" ? 10 : s.style === "faint" ? 3.5 : 2.25;
  ctx.lineCap = s.style === "band" ? "butt" : "round";
  ctx.setLineDash(s.style === "band" ? [] : s.style === "faint" ? [0.1, 7] : dashOf(s));
  ctx.beginPath();
  ctx.moveTo(x, y);
  ctx.lineTo(x + 24, y);
  ctx.stroke();
  ctx.setLineDash([]);
  ctx.globalAlpha = 1;
  if (s.role === "valid") {
    ctx.beginPath();
    addDot(ctx, x + 12, y, 3.2, s.axis === "right");
    ctx.fill();
  }
  ctx.font = font(theme, 12);
  ctx.fillStyle = theme.colors.text;
  ctx.fillText(text, x + 30, y);
}

/* ---- start ---- */

function addStyles() {
  if (document.getElementById("lrc-styles")) return;
  const style = make("style", CSS_TEXT);
  style.id = "lrc-styles";
  document.head.append(style);
}

/* Size, theme and colour scheme; the observers end with the chart. */
function observe() {
  const repaint = () => {
    if (!root.isConnected) {
      sizes.disconnect();
      themes.disconnect();
      document.fonts.removeEventListener("loadingdone", repaint);
      return;
    }
    state.restyled = true;
    schedule();
  };
  const sizes = new ResizeObserver(repaint);
  const themes = new MutationObserver(repaint);
  sizes.observe(part("stage"));
  for (const node of [document.documentElement, document.body]) {
    themes.observe(node, { attributes: true, attributeFilter: ["class", "style"] });
  }
  document.fonts.addEventListener("loadingdone", repaint);
}

function start() {
  addStyles();
  root.style.height = `${options.height}px`;
  root.classList.toggle("lrc-pickable", options.pickable);
  root.classList.toggle("lrc-log", options.logX);
  root.style.setProperty("--lrc-lines", options.legendLines);
  part("legend").hidden = !options.legendLines;
  part("title").textContent = options.label;
  part("empty").lastElementChild.textContent = options.emptyText;
  table.setAttribute("aria-label", `${options.label}, as a table`);
  button("table").addEventListener("click", () => showTable(table.hidden));
  button("png").addEventListener("click", savePng);
  button("csv").addEventListener("click", () => {
    save(new Blob([csvText()], { type: "text/csv" }), "csv");
  });
  listenToPointer();
  listenToKeys();
  observe();
  watch("value", onValue);
  onValue();
}

start();
