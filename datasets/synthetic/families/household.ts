import { cos, sin, TURN } from '../arithmetic';
import type { Canvas } from '../canvas';
import { anyColour, grey, hsv, scaled, varied, type Colour } from '../colours';
import { objectLayout, type Layout, type Part } from '../layout';
import { Noise } from '../noise';
import type { Random } from '../random';
import { circle, ellipse, line, polar, polygon, rectangle, union, without, type Point } from '../shapes';
import { body, lay, metalOn, standingOut, surface } from './setting';

const { PI, abs, min } = Math;

/** A round button with two or four holes. */
export function button(canvas: Canvas, random: Random): Layout {
  const { ground, frame } = lay(canvas, random);
  const colour = standingOut(ground, () => anyColour(random, [0.1, 0.8], [0.25, 0.95]));
  const holes = random.pick([2, 4]);
  const apart = random.range(0.2, 0.27);
  const spots = Array.from({ length: holes }, (_, i): Point => [
    apart * cos((i * TURN) / holes),
    apart * sin((i * TURN) / holes),
  ]);
  const outline = frame.place(without(circle(0, 0, 1), ...spots.map(([x, y]) => circle(x, y, 0.09))));
  body(canvas, outline, surface(colour, random), { bevel: 0.03, relief: 0.4 });
  canvas.fill(frame.place(without(circle(0, 0, 0.74), circle(0, 0, 0.66))), scaled(colour, 0.75), { opacity: 0.8 });
  const parts = spots.map(([u, v]): Part => {
    const [x, y] = frame.point(u, v);
    return { x, y, radius: frame.unit * 0.14, reveals: colour };
  });
  return objectLayout(canvas, outline, ground, parts);
}

/** A round or long tablet with a score line. */
export function pill(canvas: Canvas, random: Random): Layout {
  const { ground, frame } = lay(canvas, random, { reach: [0.3, 0.4] });
  const colour = standingOut(ground, () => anyColour(random, [0, 0.5], [0.6, 0.98]));
  const shape = random.chance(0.5) ? circle(0, 0, 0.95) : ellipse(0, 0, 1, random.range(0.55, 0.75));
  const outline = frame.place(shape);
  const speckle = new Noise(random);
  const speckled = random.chance(0.4) ? 0.12 : 0.03;
  body(canvas, outline, (x, y) => scaled(colour, 1 + speckled * speckle.grain(x * 70, y * 70)), {
    bevel: 0.06,
    relief: 0.3,
  });
  canvas.fill(
    frame.place(
      line(
        [
          [0, -0.5],
          [0, 0.5],
        ],
        0.025,
      ),
    ),
    scaled(colour, 0.72),
  );
  return objectLayout(canvas, outline, ground);
}

/** A two-coloured medicine capsule. */
export function capsule(canvas: Canvas, random: Random): Layout {
  const { ground, frame } = lay(canvas, random, { reach: [0.36, 0.44] });
  const radius = random.range(0.3, 0.4);
  const left = standingOut(ground, () => anyColour(random, [0.2, 0.9], [0.3, 0.95]));
  const right = standingOut(ground, () => anyColour(random, [0, 0.9], [0.4, 0.98]));
  const middle = random.range(-0.15, 0.15);
  const outline = frame.place(
    line(
      [
        [-1 + radius, 0],
        [1 - radius, 0],
      ],
      radius,
    ),
  );
  canvas.shadow(outline, 0.02, 0.35);
  canvas.fill(
    outline,
    (x, y) => {
      const [u, v] = frame.local(x, y);
      const t = v / radius;
      const seam = abs(u - middle) < 0.018 ? 0.75 : 1;
      const base = u < middle ? left : right;
      const shade = (1.12 - 0.55 * t * t) * seam + (abs(t + 0.45) < 0.13 && abs(u) < 0.7 ? 0.22 : 0);
      return [base[0] * shade, base[1] * shade, base[2] * shade];
    },
    { bevel: 0.03, relief: 0.25 },
  );
  return objectLayout(canvas, outline, ground);
}

/** A biscuit with a wavy edge and pricked holes. */
export function biscuit(canvas: Canvas, random: Random): Layout {
  const { ground, frame } = lay(canvas, random, { reach: [0.34, 0.43] });
  const dough = standingOut(ground, () =>
    hsv(random.range(0.07, 0.11), random.range(0.35, 0.7), random.range(0.6, 0.92)),
  );
  const waves = random.integer(14, 26);
  const square = random.chance(0.5);
  const outline = frame.place(
    square
      ? rectangle(0, 0, 0.9, random.range(0.6, 0.88), 0.12)
      : polar(0, 0, 1, (angle) => 0.96 + 0.04 * cos(angle * waves)),
  );
  body(canvas, outline, surface(dough, random, { grain: 0.12, clouds: 0.2 }), { bevel: 0.05, relief: 0.35 });
  const parts: Part[] = [];
  for (let j = -1; j <= 1; j++) {
    for (let i = -1; i <= 1; i++) {
      const [u, v] = [i * 0.42, j * 0.36];
      canvas.fill(frame.place(circle(u, v, 0.05)), scaled(dough, 0.5));
      const [x, y] = frame.point(u, v);
      parts.push({ x, y, radius: frame.unit * 0.09, reveals: dough });
    }
  }
  return objectLayout(canvas, outline, ground, parts);
}

/** A leaf with midrib and veins. */
export function leaf(canvas: Canvas, random: Random): Layout {
  const { ground, frame } = lay(canvas, random, { reach: [0.38, 0.46] });
  const green = standingOut(ground, () =>
    hsv(random.range(0.18, 0.38), random.range(0.4, 0.8), random.range(0.3, 0.75)),
  );
  const width = random.range(0.36, 0.52);
  const edge: Point[] = [];
  for (let i = 0; i <= 12; i++)
    edge.push([-0.8 + (1.8 * i) / 12, -width * sin((PI * i) / 12) * (1 - 0.35 * (i / 12 - 0.5))]);
  for (let i = 11; i >= 1; i--)
    edge.push([-0.8 + (1.8 * i) / 12, width * sin((PI * i) / 12) * (1 - 0.35 * (i / 12 - 0.5))]);
  const blade = polygon(edge);
  const outline = frame.place(
    union(
      blade,
      line(
        [
          [-1, 0],
          [-0.75, 0],
        ],
        0.03,
      ),
    ),
  );
  body(canvas, outline, surface(green, random, { clouds: 0.2 }), { bevel: 0.02, relief: 0.25 });
  const vein = scaled(green, random.chance(0.5) ? 1.35 : 0.65);
  canvas.fill(
    frame.place(
      line(
        [
          [-0.95, 0],
          [0.95, 0],
        ],
        (t) => 0.028 * (1 - 0.8 * t),
      ),
    ),
    vein,
  );
  const count = random.integer(5, 8);
  for (let i = 0; i < count; i++) {
    const x = -0.65 + (1.3 * i) / count;
    const reach = width * 0.8 * sin((PI * (x + 0.95)) / 1.8);
    for (const side of [-1, 1])
      canvas.fill(
        frame.place(
          line(
            [
              [x, 0],
              [x + reach * 0.8, side * reach * 0.85],
            ],
            0.011,
          ),
        ),
        vein,
        { opacity: 0.8 },
      );
  }
  return objectLayout(canvas, outline, ground);
}

/** A bottle from the side, with a cap and a label. */
export function bottle(canvas: Canvas, random: Random): Layout {
  const { ground, frame } = lay(canvas, random, { reach: [0.4, 0.46], turn: 0.3 });
  const glass = standingOut(ground, () => anyColour(random, [0.1, 0.8], [0.25, 0.9]));
  const wide = random.range(0.3, 0.42);
  const neck = wide * random.range(0.3, 0.45);
  const shoulder = random.range(-0.35, -0.15);
  const cap = rectangle(0, -0.9, neck * 1.25, 0.1, 0.02);
  const hull = union(
    polygon([
      [-neck, -0.85],
      [neck, -0.85],
      [neck, shoulder - 0.2],
      [wide, shoulder + 0.1],
      [wide, 0.98],
      [-wide, 0.98],
      [-wide, shoulder + 0.1],
      [-neck, shoulder - 0.2],
    ]),
    cap,
  );
  const outline = frame.place(hull);
  canvas.shadow(outline, 0.02, 0.35);
  const sheen = random.range(0.15, 0.4);
  canvas.fill(outline, (x, y) => {
    const [u] = frame.local(x, y);
    const t = u / wide;
    const shade = 1.08 - 0.5 * t * t + (abs(t + 0.55) < 0.1 ? sheen : 0);
    return [glass[0] * shade, glass[1] * shade, glass[2] * shade];
  });
  canvas.fill(frame.place(cap), anyColour(random, [0, 0.8], [0.3, 0.9]), { bevel: 0.015 });
  const label = anyColour(random, [0, 0.5], [0.6, 0.98]);
  canvas.fill(frame.place(rectangle(0, 0.35, wide * 0.98, 0.28)), label);
  canvas.fill(frame.place(rectangle(0, 0.27, wide * 0.6, 0.05)), scaled(label, 0.45));
  for (let i = 0; i < 2; i++)
    canvas.fill(frame.place(rectangle(0, 0.42 + 0.1 * i, wide * random.range(0.3, 0.7), 0.02)), scaled(label, 0.6));
  return objectLayout(canvas, outline, ground);
}

/** A cardboard tag with a hole and printed lines. */
export function tag(canvas: Canvas, random: Random): Layout {
  const { ground, frame } = lay(canvas, random, { reach: [0.37, 0.45] });
  const card = standingOut(ground, () => anyColour(random, [0, 0.5], [0.55, 0.97]));
  const half = random.range(0.42, 0.56);
  const outline = frame.place(
    without(
      polygon([
        [-1, 0.3 * half],
        [-0.7, half],
        [1, half],
        [1, -half],
        [-0.7, -half],
        [-1, -0.3 * half],
      ]),
      circle(-0.74, 0, 0.1),
    ),
  );
  body(canvas, outline, surface(card, random), { bevel: 0.008 });
  const ink = scaled(card, random.range(0.2, 0.5));
  const rows = random.integer(3, 5);
  const parts: Part[] = [];
  for (let i = 0; i < rows; i++) {
    const v = -half * 0.6 + (half * 1.2 * i) / (rows - 1);
    canvas.fill(frame.place(rectangle(0.2, v, random.range(0.4, 0.62), 0.035)), ink);
    const [x, y] = frame.point(0.2, v);
    parts.push({ x, y, radius: frame.unit * 0.1, reveals: card });
  }
  return objectLayout(canvas, outline, ground, parts);
}

/** A table spoon. */
export function spoon(canvas: Canvas, random: Random): Layout {
  const { ground, frame } = lay(canvas, random, { reach: [0.4, 0.47] });
  const metal = metalOn(ground, random);
  const bowl = ellipse(-0.66, 0, 0.34, random.range(0.22, 0.28));
  const handle = line(
    [
      [-0.36, 0],
      [0, 0],
      [0.95, 0],
    ],
    (t) => 0.05 + 0.06 * t * t,
  );
  const outline = frame.place(union(bowl, handle));
  body(canvas, outline, surface(metal, random, { grain: 0.01 }), { bevel: 0.03, relief: 0.5 });
  canvas.fill(frame.place(ellipse(-0.66, 0, 0.27, 0.19)), scaled(metal, 0.82), { bevel: 0.02, relief: -0.4 });
  return objectLayout(canvas, outline, ground);
}

/** A comb with even teeth. */
export function comb(canvas: Canvas, random: Random): Layout {
  const { ground, frame } = lay(canvas, random, { reach: [0.4, 0.47] });
  const plastic = standingOut(ground, () => anyColour(random, [0.1, 0.8], [0.15, 0.9]));
  const count = random.integer(13, 20);
  const depth = random.range(0.4, 0.55);
  const parts: Part[] = [];
  const teeth = Array.from({ length: count }, (_, i) => {
    const u = -0.84 + (1.68 * i) / (count - 1);
    const [x, y] = frame.point(u, depth * 0.4);
    parts.push({ x, y, radius: frame.unit * 0.18 });
    return rectangle(u, depth * 0.35, 0.42 / count, depth * 0.6, 0.01);
  });
  const outline = frame.place(
    union(
      rectangle(0, -0.28, 0.98, 0.14, 0.07),
      rectangle(-0.93, 0.1, 0.05, depth * 0.6, 0.03),
      rectangle(0.93, 0.1, 0.05, depth * 0.6, 0.03),
      ...teeth,
    ),
  );
  body(canvas, outline, surface(plastic, random), { bevel: 0.01 });
  return objectLayout(canvas, outline, ground, parts);
}

/** A square die showing a number of spots. */
export function die(canvas: Canvas, random: Random): Layout {
  const { ground, frame } = lay(canvas, random, { reach: [0.27, 0.34] });
  const side = standingOut(ground, () => anyColour(random, [0, 0.8], [0.4, 0.98]));
  const spot: Colour = side[0] + side[1] + side[2] > 1.5 ? grey(0.1) : grey(0.95);
  const outline = frame.place(rectangle(0, 0, 1, 1, 0.18));
  body(canvas, outline, surface(side, random), { bevel: 0.03, relief: 0.35 });
  const value = random.integer(2, 6);
  const spots: Point[] = [];
  if (value % 2 === 1) spots.push([0, 0]);
  if (value >= 2) spots.push([-0.52, -0.52], [0.52, 0.52]);
  if (value >= 4) spots.push([-0.52, 0.52], [0.52, -0.52]);
  if (value === 6) spots.push([-0.52, 0], [0.52, 0]);
  const parts = spots.map(([u, v]): Part => {
    canvas.fill(frame.place(circle(u, v, 0.16)), spot, { bevel: 0.01, relief: -0.3 });
    const [x, y] = frame.point(u, v);
    return { x, y, radius: frame.unit * 0.22, reveals: side };
  });
  return objectLayout(canvas, outline, ground, parts);
}

/** A flower with even petals. */
export function flower(canvas: Canvas, random: Random): Layout {
  const { ground, frame } = lay(canvas, random, { reach: [0.36, 0.45] });
  const colour = standingOut(ground, () => anyColour(random, [0.2, 0.9], [0.5, 1]));
  const count = random.integer(5, 10);
  const width = min(0.3, 1.5 / count);
  const parts: Part[] = [];
  const petals = Array.from({ length: count }, (_, i) => {
    const angle = (i * TURN) / count;
    const [x, y] = frame.point(0.62 * cos(angle), 0.62 * sin(angle));
    parts.push({ x, y, radius: frame.unit * 0.34 });
    return line(
      [
        [0.25 * cos(angle), 0.25 * sin(angle)],
        [0.45 * cos(angle), 0.45 * sin(angle)],
        [0.72 * cos(angle), 0.72 * sin(angle)],
      ],
      width,
    );
  });
  const outline = frame.place(union(...petals));
  canvas.shadow(outline, 0.02, 0.3);
  for (const petal of petals)
    canvas.fill(frame.place(petal), varied(colour, random, 0.02), { bevel: 0.05, relief: 0.3 });
  canvas.fill(
    frame.place(circle(0, 0, random.range(0.22, 0.3))),
    hsv(random.range(0.08, 0.15), 0.8, random.range(0.5, 0.9)),
    { bevel: 0.03, relief: 0.3 },
  );
  return objectLayout(canvas, outline, ground, parts);
}

/** A metal or plastic zip on two strips of cloth. */
export function zip(canvas: Canvas, random: Random): Layout {
  const { ground, frame } = lay(canvas, random, { reach: [0.46, 0.49], turn: 0.12 });
  const cloth = standingOut(ground, () => anyColour(random, [0.05, 0.6], [0.12, 0.7]));
  const metal = metalOn(cloth, random);
  const half = random.range(0.4, 0.55);
  const outline = frame.place(rectangle(0, 0, half, 1, 0.01));
  const weave = new Noise(random);
  body(canvas, outline, (x, y) => scaled(cloth, 1 + 0.12 * sin((x - y) * 220) + 0.1 * weave.grain(x * 90, y * 90)), {
    bevel: 0.006,
  });
  canvas.fill(frame.place(rectangle(0, 0, 0.05, 1)), scaled(cloth, 0.4));
  const teeth = random.integer(17, 24);
  const parts: Part[] = [];
  for (let i = 0; i < teeth; i++) {
    const v = -0.95 + (1.9 * (i + 0.5)) / teeth;
    const side = i % 2 === 0 ? -1 : 1;
    canvas.fill(frame.place(rectangle(side * 0.055, v, 0.12, 0.62 / teeth, 0.012)), metal, {
      bevel: 0.01,
      relief: 0.4,
    });
    const [x, y] = frame.point(side * 0.055, v);
    parts.push({ x, y, radius: frame.unit * 0.11, reveals: scaled(cloth, 0.5) });
  }
  return objectLayout(canvas, outline, ground, parts);
}

/** The head of a toothbrush with rows of tufts. */
export function toothbrush(canvas: Canvas, random: Random): Layout {
  const { ground, frame } = lay(canvas, random, { reach: [0.42, 0.48], turn: 0.5 });
  const plastic = standingOut(ground, () => anyColour(random, [0.2, 0.8], [0.4, 0.95]));
  const half = random.range(0.28, 0.36);
  const outline = frame.place(
    union(
      rectangle(0, -0.25, half, 0.7, half * 0.8),
      line(
        [
          [0, 0.3],
          [0, 0.98],
        ],
        half * 0.45,
      ),
    ),
  );
  body(canvas, outline, surface(plastic, random), { bevel: 0.03 });
  const tones = [anyColour(random, [0, 0.3], [0.8, 1]), anyColour(random, [0.3, 0.8], [0.5, 0.95])] as const;
  const columns = random.integer(3, 4);
  const rows = random.integer(7, 9);
  const noise = new Noise(random);
  const parts: Part[] = [];
  for (let j = 0; j < rows; j++) {
    const v = -0.82 + (1.14 * j) / (rows - 1);
    for (let i = 0; i < columns; i++) {
      const u = (half * 1.5 * (i - (columns - 1) / 2)) / columns;
      const radius = 0.064;
      const tone = tones[(j % 3 === 0 ? 1 : 0) as 0 | 1];
      canvas.fill(
        frame.place(circle(u, v, radius)),
        (x, y) => scaled(tone, 0.92 + 0.25 * noise.grain(x * 110, y * 110)),
        { bevel: 0.012, relief: 0.4 },
      );
      const [x, y] = frame.point(u, v);
      parts.push({ x, y, radius: frame.unit * 0.085, reveals: scaled(plastic, 0.7) });
    }
  }
  return objectLayout(canvas, outline, ground, parts);
}
