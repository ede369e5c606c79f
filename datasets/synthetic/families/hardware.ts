import { cos, sin, TURN } from '../arithmetic';
import type { Canvas } from '../canvas';
import { grey, scaled } from '../colours';
import { objectLayout, type Layout, type Part } from '../layout';
import type { Random } from '../random';
import { circle, line, polar, polygon, rectangle, regular, union, without, type Point } from '../shapes';
import { body, lay, metalOn, surface } from './setting';

const { abs, max, min } = Math;

/** A flat ring. */
export function washer(canvas: Canvas, random: Random): Layout {
  const { ground, frame } = lay(canvas, random);
  const hole = random.range(0.35, 0.62);
  const shape = frame.place(without(circle(0, 0, 1), circle(0, 0, hole)));
  body(canvas, shape, surface(metalOn(ground, random), random), { bevel: random.range(0.015, 0.04) });
  return objectLayout(canvas, shape, ground);
}

/** A toothed wheel with a bore. */
export function gear(canvas: Canvas, random: Random): Layout {
  const { ground, frame } = lay(canvas, random, { reach: [0.32, 0.43] });
  const teeth = random.integer(10, 20);
  const root = random.range(0.76, 0.84);
  const wheel = polar(0, 0, 1, (angle) => {
    const t = abs((((angle * teeth) / TURN) % 1) + 1) % 1;
    const ramp = min(1, max(0, (0.32 - abs(t - 0.5)) * 9));
    return root + (1 - root) * ramp;
  });
  const bores = [circle(0, 0, random.range(0.16, 0.3))];
  const spokes = random.chance(0.5) ? random.integer(3, 6) : 0;
  for (let i = 0; i < spokes; i++)
    bores.push(circle(0.52 * cos((i * TURN) / spokes), 0.52 * sin((i * TURN) / spokes), 0.12));
  const shape = frame.place(without(wheel, ...bores));
  body(canvas, shape, surface(metalOn(ground, random), random), { bevel: 0.02 });
  const parts = Array.from({ length: teeth }, (_, i): Part => {
    const angle = ((i + 0.5) * TURN) / teeth;
    const [x, y] = frame.point(cos(angle) * (root + 0.1), sin(angle) * (root + 0.1));
    return { x, y, radius: frame.unit * 0.16 };
  });
  return objectLayout(canvas, shape, ground, parts);
}

/** A six-sided nut with a threaded hole. */
export function hexNut(canvas: Canvas, random: Random): Layout {
  const { ground, frame } = lay(canvas, random, { reach: [0.3, 0.4] });
  const metal = metalOn(ground, random);
  const hole = random.range(0.4, 0.55);
  const shape = frame.place(without(regular(0, 0, 1, 6), circle(0, 0, hole)));
  body(canvas, shape, surface(metal, random), { bevel: 0.03 });
  canvas.fill(frame.place(without(circle(0, 0, hole + 0.09), circle(0, 0, hole))), scaled(metal, 0.75), {
    bevel: 0.012,
  });
  return objectLayout(canvas, shape, ground);
}

/** A screw from the side: head, shaft, thread, point. */
export function screw(canvas: Canvas, random: Random): Layout {
  const { ground, frame } = lay(canvas, random, { reach: [0.36, 0.44] });
  const metal = metalOn(ground, random);
  const thick = random.range(0.13, 0.19);
  const head = thick * random.range(1.9, 2.4);
  const shaft = polygon([
    [-0.8, -thick],
    [0.72, -thick],
    [1, 0],
    [0.72, thick],
    [-0.8, thick],
  ]);
  const cap = random.chance(0.5)
    ? polygon([
        [-1, -head],
        [-0.93, -head],
        [-0.72, -thick],
        [-0.72, thick],
        [-0.93, head],
        [-1, head],
      ])
    : rectangle(-0.86, 0, 0.14, head, 0.06);
  const shape = frame.place(union(shaft, cap));
  body(canvas, shape, surface(metal, random), { bevel: 0.03, relief: 0.5 });
  const turns = random.integer(9, 14);
  const parts: Part[] = [];
  for (let i = 0; i < turns; i++) {
    const x = -0.45 + (1.12 * (i + 0.5)) / turns;
    canvas.fill(
      frame.place(
        line(
          [
            [x - 0.025, -thick],
            [x + 0.025, thick],
          ],
          0.016,
        ),
      ),
      scaled(metal, 0.45),
    );
    canvas.fill(
      frame.place(
        line(
          [
            [x + 0.005, -thick * 0.9],
            [x + 0.055, thick * 0.9],
          ],
          0.012,
        ),
      ),
      scaled(metal, 1.2),
    );
    const [px, py] = frame.point(x, 0);
    parts.push({ x: px, y: py, radius: frame.unit * thick * 0.9, reveals: scaled(metal, 0.95) });
  }
  return objectLayout(canvas, shape, ground, parts);
}

/** A hex bolt's head seen from above, with a washer face. */
export function boltHead(canvas: Canvas, random: Random): Layout {
  const { ground, frame } = lay(canvas, random);
  const metal = metalOn(ground, random);
  const outline = frame.place(circle(0, 0, 1));
  body(canvas, outline, surface(scaled(metal, 0.85), random), { bevel: 0.02 });
  canvas.fill(frame.place(regular(0, 0, 0.78, 6)), surface(metal, random), { bevel: 0.03 });
  canvas.fill(frame.place(circle(0, 0, 0.5)), scaled(metal, 1.08), { bevel: 0.01, relief: 0.2 });
  return objectLayout(canvas, outline, ground);
}

/** A coil of wire seen from the side. */
export function spring(canvas: Canvas, random: Random): Layout {
  const { ground, frame } = lay(canvas, random, { reach: [0.36, 0.44] });
  const metal = metalOn(ground, random);
  const coils = random.integer(6, 10);
  const height = random.range(0.3, 0.42);
  const wire = random.range(0.045, 0.065);
  const front: Point[] = [];
  const parts: Part[] = [];
  const halves = [];
  for (let i = 0; i < coils; i++) {
    const x = -0.9 + (1.8 * i) / coils;
    const step = 1.8 / coils;
    halves.push({
      back: line(
        [
          [x + step * 0.5, height],
          [x + step, -height],
        ],
        wire,
      ),
      front: line(
        [
          [x, -height],
          [x + step * 0.5, height],
        ],
        wire,
      ),
    });
    front.push([x, -height], [x + step * 0.5, height]);
    const [px, py] = frame.point(x + step * 0.25, 0);
    parts.push({ x: px, y: py, radius: frame.unit * max(step * 0.4, wire * 2) });
  }
  front.push([0.9, -height]);
  const shape = frame.place(line(front, wire));
  canvas.shadow(shape, 0.018, 0.3);
  for (const half of halves) canvas.fill(frame.place(half.back), scaled(metal, 0.6), { bevel: 0.02 });
  for (const half of halves) canvas.fill(frame.place(half.front), metal, { bevel: 0.02, relief: 0.5 });
  return objectLayout(canvas, shape, ground, parts);
}

/** A key with round bow and cut teeth. */
export function key(canvas: Canvas, random: Random): Layout {
  const { ground, frame } = lay(canvas, random, { reach: [0.37, 0.45] });
  const metal = metalOn(ground, random);
  const bow = random.range(0.3, 0.38);
  const top = -0.1;
  const bit: Point[] = [
    [-0.4, top],
    [0.94, top],
    [1, 0],
  ];
  const cuts = random.integer(4, 6);
  for (let i = 0; i < cuts; i++) {
    const x = 0.9 - (0.75 * i) / cuts;
    const depth = random.range(0.04, 0.16);
    bit.push([x, depth], [x - 0.08, depth]);
  }
  bit.push([0.1, 0.16], [-0.4, 0.16]);
  const outline = frame.place(
    without(union(circle(-0.65, 0, bow), polygon(bit)), circle(-0.78, 0, random.range(0.07, 0.13))),
  );
  body(canvas, outline, surface(metal, random), { bevel: 0.014, relief: 0.45 });
  canvas.fill(
    frame.place(
      line(
        [
          [-0.3, -0.02],
          [0.85, -0.02],
        ],
        0.016,
      ),
    ),
    scaled(metal, 0.65),
  );
  return objectLayout(canvas, outline, ground);
}

/** A round coin with a rim, rays and a raised middle. */
export function coin(canvas: Canvas, random: Random): Layout {
  const { ground, frame } = lay(canvas, random);
  const metal = metalOn(ground, random);
  const outline = frame.place(circle(0, 0, 1));
  body(canvas, outline, surface(metal, random), { bevel: 0.015 });
  canvas.fill(frame.place(without(circle(0, 0, 0.9), circle(0, 0, 0.85))), scaled(metal, 0.78));
  const rays = random.integer(8, 24);
  const parts: Part[] = [];
  for (let i = 0; i < rays; i++) {
    const angle = (i * TURN) / rays;
    canvas.fill(frame.place(circle(0.74 * cos(angle), 0.74 * sin(angle), 0.045)), scaled(metal, 1.12), {
      bevel: 0.01,
      relief: 0.5,
    });
    const [x, y] = frame.point(0.74 * cos(angle), 0.74 * sin(angle));
    parts.push({ x, y, radius: frame.unit * 0.075, reveals: metal });
  }
  const sides = random.integer(3, 8);
  canvas.fill(frame.place(regular(0, 0, random.range(0.35, 0.5), sides)), scaled(metal, 0.9), {
    bevel: 0.025,
    relief: 0.5,
  });
  return objectLayout(canvas, outline, ground, parts);
}

/** Stamped lid with a crimped rim, seen from above. */
export function bottleTop(canvas: Canvas, random: Random): Layout {
  const { ground, frame } = lay(canvas, random);
  const metal = random.chance(0.5)
    ? metalOn(ground, random)
    : scaled(metalOn(grey(0.1), random), random.range(0.8, 1.1));
  const crimps = random.integer(17, 23);
  const outline = frame.place(polar(0, 0, 1, (angle) => 0.94 + 0.06 * cos(angle * crimps)));
  body(canvas, outline, surface(metal, random), { bevel: 0.05, relief: 0.5 });
  const parts: Part[] = [];
  for (let i = 0; i < crimps; i++) {
    const angle = ((i + 0.5) * TURN) / crimps;
    canvas.fill(
      frame.place(
        line(
          [
            [0.82 * cos(angle), 0.82 * sin(angle)],
            [0.9 * cos(angle), 0.9 * sin(angle)],
          ],
          0.022,
        ),
      ),
      scaled(metal, 0.55),
    );
    const [x, y] = frame.point(0.88 * cos(angle), 0.88 * sin(angle));
    parts.push({ x, y, radius: frame.unit * 0.12 });
  }
  canvas.fill(frame.place(circle(0, 0, 0.74)), surface(scaled(metal, random.range(0.85, 1.1)), random), {
    bevel: 0.015,
    relief: 0.4,
  });
  const print = scaled(metal, random.range(0.35, 0.6));
  if (random.chance(0.7)) canvas.fill(frame.place(without(circle(0, 0, 0.52), circle(0, 0, 0.44))), print);
  canvas.fill(frame.place(regular(0, 0, 0.28, random.integer(3, 6))), print);
  return objectLayout(canvas, outline, ground, parts);
}
