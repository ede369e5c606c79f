import { clamp, cos, length, sin, smoothstep } from '../arithmetic';
import { against, hsv, luminance, mixed, scaled, type Colour } from '../colours';
import { Noise } from '../noise';
import { Frame, circle, line, polygon, rectangle, union, without, type Point } from '../shapes';
import { blob, depthAt, inkAt, onThing, spotOn, type DrawDefect } from './surface';

const { abs, sqrt } = Math;

/** Rust or verdigris: an eaten, grainy patch of two tones. */
export const corrosion: DrawDefect = (canvas, layout, random, vigour) => {
  const at = spotOn(canvas, layout, random, 0.04);
  const on = onThing(canvas, layout);
  const radius = random.range(0.08, 0.14) * vigour.extent;
  const shape = blob(at, radius, 0.5, random);
  const hue: readonly [number, number] = random.chance(0.7) ? [0.03, 0.08] : [0.4, 0.48];
  const light = inkAt(canvas, at, random, vigour, { hue, saturation: [0.6, 0.85], contrast: [0.18, 0.3], reach: 0.08 });
  const dark = inkAt(canvas, at, random, vigour, { hue, saturation: [0.5, 0.8], contrast: [0.35, 0.5], reach: 0.08 });
  const noise = new Noise(random);
  canvas.cover(
    light,
    (x, y) =>
      on(x, y) *
      smoothstep(-0.02, 0.25, -shape.distance(x, y) / radius + 0.9 * noise.clouds(x * 22, y * 22, 2)) *
      (shape.distance(x, y) < 0.3 * radius ? 0.9 : 0),
    shape.box,
  );
  canvas.cover(
    dark,
    (x, y) =>
      on(x, y) * smoothstep(0.45, 0.65, -shape.distance(x, y) / radius + 1.1 * noise.clouds(x * 30 + 50, y * 30, 2)),
    shape.box,
  );
};

/** A raised bubble, or a few, each with a highlight and a shaded side. */
export const blister: DrawDefect = (canvas, layout, random, vigour) => {
  const on = onThing(canvas, layout);
  const at = spotOn(canvas, layout, random, 0.05);
  const count = random.integer(1, 4);
  const [lx, ly] = [cos(canvas.light), sin(canvas.light)];
  for (let i = 0; i < count; i++) {
    const [cx, cy]: Point = i === 0 ? at : [at[0] + random.range(-0.11, 0.11), at[1] + random.range(-0.11, 0.11)];
    const radius = (random.range(0.045, 0.075) * vigour.extent) / (i === 0 ? 1 : random.range(1.2, 2));
    const { mean } = canvas.around(cx, cy, radius);
    const lit: Colour = mixed(mean, [1, 1, 1], clamp(0.6 * vigour.contrast));
    const shade = luminance(mean) < 0.2 ? mixed(mean, [1, 1, 1], 0.25) : scaled(mean, 0.35);
    const side = (x: number, y: number): number => ((x - cx) * lx + (y - cy) * ly) / radius;
    const r = (x: number, y: number): number => length(x - cx, y - cy) / radius;
    const box = circle(cx, cy, radius).box;
    canvas.cover(
      shade,
      (x, y) => on(x, y) * smoothstep(1, 0.9, r(x, y)) * clamp(-0.9 * side(x, y) + 0.1) * smoothstep(0.2, 0.8, r(x, y)),
      box,
    );
    canvas.cover(lit, (x, y) => on(x, y) * smoothstep(1, 0.9, r(x, y)) * clamp(0.9 * side(x, y)) * 0.7, box);
    canvas.cover(
      [1, 1, 1],
      (x, y) =>
        0.8 * on(x, y) * smoothstep(0.28, 0.1, length(x - cx - lx * radius * 0.5, y - cy - ly * radius * 0.5) / radius),
      box,
    );
  }
};

/** A rectangle cut out with a blade. */
export const cutOut: DrawDefect = (canvas, layout, random, vigour) => {
  const at = spotOn(canvas, layout, random, 0.04);
  const on = onThing(canvas, layout);
  const frame = new Frame(at[0], at[1], random.angle(), random.range(0.045, 0.085) * vigour.extent);
  const shape = frame.place(rectangle(0, 0, 1, random.range(0.45, 1)));
  const deep = depthAt(canvas, layout, at, vigour);
  const [dx, dy] = [cos(canvas.light) * 0.012, sin(canvas.light) * 0.012];
  canvas.cover(deep, (x, y) => on(x, y) * clamp(0.5 - shape.distance(x, y) * canvas.size), shape.box);
  canvas.cover(
    scaled(deep, 0.55),
    (x, y) =>
      on(x, y) *
      0.8 *
      clamp(0.5 - shape.distance(x, y) * canvas.size) *
      clamp(0.5 + shape.distance(x - dx, y - dy) * canvas.size),
    shape.box,
  );
};

/** Lines and rings of a print that belongs elsewhere, half transparent. */
export const ghostPrint: DrawDefect = (canvas, layout, random, vigour) => {
  const at = spotOn(canvas, layout, random, 0.06);
  const on = onThing(canvas, layout);
  const frame = new Frame(at[0], at[1], random.angle(), random.range(0.09, 0.14) * vigour.extent);
  const rows = random.integer(2, 3);
  const bars = Array.from({ length: rows }, (_, i) =>
    rectangle(random.range(-0.2, 0.2), -0.5 + (1 * i) / (rows - 1 || 1), random.range(0.6, 0.95), 0.11),
  );
  const print = frame.place(
    random.chance(0.5)
      ? union(...bars)
      : union(without(circle(0, 0, 0.9), circle(0, 0, 0.68)), rectangle(0, 0, 0.4, 0.11)),
  );
  const tone = inkAt(canvas, at, random, vigour, { contrast: [0.3, 0.5], reach: 0.08 });
  canvas.cover(tone, (x, y) => on(x, y) * 0.65 * clamp(0.5 - print.distance(x, y) * canvas.size * 0.6), print.box);
};

/** A clear drop: a dark rim, a bright spot, and what is beneath seen through a lens. */
export const droplet: DrawDefect = (canvas, layout, random, vigour) => {
  const [cx, cy] = spotOn(canvas, layout, random, 0.05);
  const radius = random.range(0.05, 0.085) * vigour.extent;
  const before = canvas.copy();
  const { mean, spread } = before.around(cx, cy, radius);
  const rim = against(mean, (0.3 + spread) * vigour.contrast, hsv(0.58, 0.3, 0.5));
  const [lx, ly] = [cos(canvas.light), sin(canvas.light)];
  const shape = blob([cx, cy], radius, 0.1, random);
  canvas.paint((x, y) => {
    const here = before.colourAt(x, y);
    const inside = clamp(0.5 - shape.distance(x, y) * canvas.size);
    if (inside === 0) return here;
    const r = clamp(1 + shape.distance(x, y) / radius);
    const seen = before.colourAt(cx + (x - cx) * (0.45 + 0.5 * r * r), cy + (y - cy) * (0.45 + 0.5 * r * r));
    const side = ((x - cx) * lx + (y - cy) * ly) / radius;
    const shaded = mixed(scaled(seen, 1.12 - 0.3 * side), rim, 0.85 * smoothstep(0.62, 0.95, r));
    const glint =
      0.9 * smoothstep(0.3, 0.12, length(x - cx - lx * radius * 0.45, y - cy - ly * radius * 0.45) / radius);
    return mixed(here, mixed(shaded, [1, 1, 1], glint), inside);
  }, shape.box);
};

/** A sharp crease across the object, one side lit and the other in shade. */
export const fold: DrawDefect = (canvas, layout, random, vigour) => {
  const [cx, cy] = spotOn(canvas, layout, random, 0.04);
  const on = onThing(canvas, layout);
  const angle = random.angle();
  const [c, s] = [cos(angle), sin(angle)];
  const half = random.range(0.2, 0.36) * vigour.extent;
  const width = random.range(0.025, 0.04);
  const { mean, spread } = canvas.around(cx, cy, 0.08);
  const lit = mixed(mean, [1, 1, 1], clamp((0.35 + spread) * vigour.contrast));
  const shade = luminance(mean) < 0.2 ? mixed(mean, [1, 1, 1], 0.2) : scaled(mean, 0.4);
  const box = circle(cx, cy, half + width).box;
  const amount = (x: number, y: number, side: number): number => {
    const u = (x - cx) * c + (y - cy) * s;
    const v = ((y - cy) * c - (x - cx) * s) * side;
    return v < -0.5 / canvas.size
      ? 0
      : on(x, y) * clamp(0.5 + v * canvas.size) * smoothstep(width, 0, v) * smoothstep(half, half * 0.8, abs(u));
  };
  canvas.cover(lit, (x, y) => 0.8 * amount(x, y, 1), box);
  canvas.cover(shade, (x, y) => 0.8 * amount(x, y, -1), box);
};

/** A gap that zigzags and opens in the middle. */
export const tear: DrawDefect = (canvas, layout, random, vigour) => {
  const at = spotOn(canvas, layout, random, 0.04);
  const on = onThing(canvas, layout);
  const frame = new Frame(at[0], at[1], random.angle(), random.range(0.12, 0.2) * vigour.extent);
  const steps = random.integer(5, 8);
  const open = random.range(0.1, 0.16);
  const upper: Point[] = [];
  const lower: Point[] = [];
  for (let i = 0; i <= steps; i++) {
    const t = i / steps;
    const zig = (i % 2 === 0 ? 1 : -1) * 0.12;
    const gap = open * 4 * t * (1 - t);
    upper.push([2 * t - 1, zig - gap]);
    lower.unshift([2 * t - 1, zig + gap]);
  }
  const gap = frame.place(polygon([...upper, ...lower]));
  const deep = depthAt(canvas, layout, at, vigour);
  const frayed = mixed(canvas.around(...at, 0.05).mean, [1, 1, 1], 0.35);
  canvas.cover(frayed, (x, y) => on(x, y) * 0.6 * clamp(0.5 - (gap.distance(x, y) - 0.008) * canvas.size), [
    gap.box[0] - 0.01,
    gap.box[1] - 0.01,
    gap.box[2] + 0.01,
    gap.box[3] + 0.01,
  ]);
  canvas.cover(deep, (x, y) => on(x, y) * clamp(0.5 - gap.distance(x, y) * canvas.size), gap.box);
};

/** A sign of strokes printed where none should be. */
export const misprint: DrawDefect = (canvas, layout, random, vigour) => {
  const at = spotOn(canvas, layout, random, 0.05);
  const on = onThing(canvas, layout);
  const frame = new Frame(at[0], at[1], random.range(-0.6, 0.6), random.range(0.055, 0.085) * vigour.extent);
  const corners: readonly Point[] = [
    [-0.6, -1],
    [0.6, -1],
    [-0.6, 0],
    [0.6, 0],
    [-0.6, 1],
    [0.6, 1],
  ];
  const strokes = Array.from({ length: random.integer(3, 5) }, () =>
    line([random.pick(corners), random.pick(corners), random.pick(corners)], 0.17),
  );
  const sign = frame.place(union(...strokes));
  const tone = inkAt(canvas, at, random, vigour, { saturation: [0, 0.8], contrast: [0.4, 0.65] });
  canvas.cover(tone, (x, y) => on(x, y) * 0.92 * clamp(0.5 - sign.distance(x, y) * canvas.size), sign.box);
};

/** Colour gone from an area, as if bleached. */
export const fadedArea: DrawDefect = (canvas, layout, random, vigour) => {
  const at = spotOn(canvas, layout, random, 0.05);
  const on = onThing(canvas, layout);
  const radius = random.range(0.09, 0.15) * vigour.extent;
  const shape = blob(at, radius, 0.3, random);
  const { mean } = canvas.around(...at, radius);
  const level = luminance(mean);
  const pale: Colour =
    level > 0.75
      ? scaled([0.62, 0.6, 0.52], 1 / sqrt(vigour.contrast))
      : mixed([level, level, level], [1, 1, 0.97], clamp((0.45 + 0.1 * level) * vigour.contrast));
  canvas.cover(pale, (x, y) => on(x, y) * 0.85 * smoothstep(0.05, -0.35, shape.distance(x, y) / radius), shape.box);
};
