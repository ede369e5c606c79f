import type { Canvas } from '../canvas';
import { anyColour, grey, hsv, scaled, varied, type Colour } from '../colours';
import { objectLayout, type Layout, type Part } from '../layout';
import type { Random } from '../random';
import { circle, ellipse, line, rectangle, union, without, type Point } from '../shapes';
import { body, lay, metalOn, standingOut, surface } from './setting';

const { abs } = Math;

const SOLDER: Colour = [0.78, 0.78, 0.8];

/** A black package with legs on two or four sides. */
export function computerChip(canvas: Canvas, random: Random): Layout {
  const { ground, frame } = lay(canvas, random, { reach: [0.34, 0.42], turn: 0.5 });
  const high = random.range(0.5, 0.8);
  const legs = random.integer(4, 8);
  const pins: ReturnType<typeof rectangle>[] = [];
  const parts: Part[] = [];
  const pin = metalOn(ground, random);
  for (let i = 0; i < legs; i++) {
    const x = -0.7 + (1.4 * (i + 0.5)) / legs;
    for (const side of [-1, 1]) {
      pins.push(rectangle(x, side * (high + 0.08), 0.45 / legs, 0.12, 0.01));
      const [px, py] = frame.point(x, side * (high + 0.1));
      parts.push({ x: px, y: py, radius: frame.unit * 0.13 });
    }
  }
  const legged = frame.place(union(...pins));
  canvas.shadow(legged, 0.012, 0.3);
  for (const leg of pins) canvas.fill(frame.place(leg), pin, { bevel: 0.01 });
  const core = frame.place(rectangle(0, 0, 0.82, high, 0.03));
  const plastic = grey(random.range(0.1, 0.28));
  body(canvas, core, surface(plastic, random, { grain: 0.08 }), { bevel: 0.02, relief: 0.5 });
  canvas.fill(frame.place(circle(-0.66, high - 0.16, 0.06)), scaled(plastic, 0.55));
  const rows = random.integer(1, 3);
  const print = grey(random.range(0.5, 0.8));
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < 6; i++) {
      const x = -0.4 + i * 0.16;
      const y = -0.25 + row * 0.22;
      if (random.chance(0.85))
        canvas.fill(
          frame.place(
            random.chance(0.5)
              ? rectangle(x, y, 0.045, 0.06)
              : without(rectangle(x, y, 0.05, 0.06), rectangle(x, y, 0.02, 0.03)),
          ),
          print,
          { opacity: 0.8 },
        );
    }
  }
  return objectLayout(canvas, union(core, legged), ground, parts);
}

/** A board with traces, round pads and small parts. */
export function circuitBoard(canvas: Canvas, random: Random): Layout {
  const { ground, frame } = lay(canvas, random, { reach: [0.4, 0.46], turn: 0.2 });
  const mask = random.chance(0.6)
    ? hsv(random.range(0.33, 0.45), random.range(0.5, 0.8), random.range(0.25, 0.5))
    : hsv(random.range(0.55, 0.65), 0.6, random.range(0.25, 0.5));
  const board = frame.place(rectangle(0, 0, 0.98, random.range(0.75, 0.95), 0.05));
  body(canvas, board, surface(mask, random), { bevel: 0.01 });
  const parts: Part[] = [];
  const trace = scaled(mask, 1.45);
  const columns = random.integer(4, 6);
  const rows = random.integer(3, 5);
  const places: Point[] = [];
  for (let j = 0; j < rows; j++)
    for (let i = 0; i < columns; i++) places.push([-0.75 + (1.5 * i) / (columns - 1), -0.58 + (1.16 * j) / (rows - 1)]);
  for (const [x, y] of places) {
    const [tx, ty] = random.pick(places);
    canvas.fill(
      frame.place(
        line(
          [
            [x, y],
            [x + (tx - x) * 0.35, y],
            [x + (tx - x) * 0.5, y + (ty - y) * 0.35],
          ],
          0.022,
        ),
      ),
      trace,
    );
  }
  for (const [x, y] of places) {
    const kind = random.next();
    if (kind < 0.55) {
      canvas.fill(frame.place(circle(x, y, 0.085)), SOLDER, { bevel: 0.015, relief: 0.4 });
      canvas.fill(frame.place(circle(x, y, 0.035)), grey(0.12));
    } else if (kind < 0.8) {
      canvas.fill(frame.place(rectangle(x, y, 0.12, 0.06)), SOLDER);
      canvas.fill(frame.place(rectangle(x, y, 0.075, 0.062)), kind < 0.68 ? grey(0.14) : [0.62, 0.5, 0.38], {
        bevel: 0.01,
      });
    } else canvas.fill(frame.place(rectangle(x, y, 0.1, 0.1, 0.01)), grey(0.13), { bevel: 0.012, relief: 0.5 });
    const [px, py] = frame.point(x, y);
    parts.push({ x: px, y: py, radius: frame.unit * 0.14, reveals: mask });
  }
  return objectLayout(canvas, board, ground, parts);
}

/** A plug with two or three pins. */
export function plug(canvas: Canvas, random: Random): Layout {
  const { ground, frame } = lay(canvas, random, { reach: [0.36, 0.44] });
  const plastic = standingOut(ground, () =>
    random.chance(0.6) ? grey(random.range(0.1, 0.9)) : anyColour(random, [0.3, 0.8], [0.3, 0.8]),
  );
  const pin = metalOn(ground, random);
  const count = random.integer(2, 3);
  const pins = Array.from({ length: count }, (_, i) => rectangle(0.72, (i - (count - 1) / 2) * 0.34, 0.28, 0.06, 0.03));
  const cable = line(
    [
      [-0.5, 0],
      [-0.98, random.range(-0.08, 0.08)],
    ],
    0.09,
  );
  const housing = union(rectangle(-0.05, 0, 0.5, 0.46, 0.12), rectangle(-0.55, 0, 0.2, 0.2, 0.06));
  const outline = frame.place(union(housing, cable, ...pins));
  canvas.shadow(outline, 0.02, 0.35);
  canvas.fill(frame.place(cable), scaled(plastic, 0.85), { bevel: 0.03 });
  for (const shape of pins) canvas.fill(frame.place(shape), pin, { bevel: 0.02, relief: 0.5 });
  canvas.fill(frame.place(housing), surface(plastic, random), { bevel: 0.04 });
  for (let i = 0; i < 3; i++)
    canvas.fill(
      frame.place(
        line(
          [
            [-0.25 + i * 0.12, -0.3],
            [-0.25 + i * 0.12, 0.3],
          ],
          0.02,
        ),
      ),
      scaled(plastic, 0.7),
    );
  const parts = pins.map((_, i): Part => {
    const [x, y] = frame.point(0.76, (i - (count - 1) / 2) * 0.34);
    return { x, y, radius: frame.unit * 0.2 };
  });
  return objectLayout(canvas, outline, ground, parts);
}

/** A cylinder battery lying on its side. */
export function battery(canvas: Canvas, random: Random): Layout {
  const { ground, frame } = lay(canvas, random, { reach: [0.36, 0.44] });
  const radius = random.range(0.26, 0.36);
  const wrap = standingOut(ground, () => anyColour(random, [0.4, 0.9], [0.2, 0.8]));
  const end = anyColour(random, [0.4, 0.9], [0.5, 0.9]);
  const outline = frame.place(
    union(rectangle(-0.05, 0, 0.92, radius, 0.05), rectangle(0.93, 0, 0.06, radius * 0.4, 0.02)),
  );
  const split = random.range(0.2, 0.5);
  canvas.shadow(outline, 0.02, 0.35);
  canvas.fill(outline, (x, y) => {
    const [u, v] = frame.local(x, y);
    const t = v / radius;
    const shade = 1.15 - 0.75 * t * t + 0.3 * (abs(t + 0.4) < 0.12 ? 1 : 0);
    const base = u > 0.86 ? SOLDER : u > split ? end : wrap;
    return [base[0] * shade, base[1] * shade, base[2] * shade];
  });
  for (let i = 0; i < 4; i++) canvas.fill(frame.place(rectangle(-0.6 + i * 0.16, 0, 0.05, 0.08)), scaled(end, 1.1));
  return objectLayout(canvas, outline, ground);
}

/** A small component with a flat body and three long legs. */
export function transistor(canvas: Canvas, random: Random): Layout {
  const { ground, frame } = lay(canvas, random, { reach: [0.36, 0.44], turn: 0.6 });
  const plastic = standingOut(ground, () => grey(random.range(0.08, 0.35)));
  const tin = metalOn(ground, random);
  const gap = random.range(0.2, 0.28);
  const legs = [-1, 0, 1].map((i) =>
    line(
      [
        [i * gap * 0.7, 0],
        [i * gap, 0.35],
        [i * gap, 0.98],
      ],
      0.045,
    ),
  );
  const head = rectangle(0, -0.42, 0.48, 0.5, 0.08);
  const outline = frame.place(union(head, ...legs));
  canvas.shadow(outline, 0.018, 0.35);
  for (const leg of legs) canvas.fill(frame.place(leg), tin, { bevel: 0.015, relief: 0.5 });
  if (random.chance(0.6)) {
    canvas.fill(frame.place(rectangle(0, -0.78, 0.48, 0.2, 0.03)), tin, { bevel: 0.015 });
    canvas.fill(frame.place(circle(0, -0.8, 0.1)), ground);
  }
  canvas.fill(frame.place(rectangle(0, -0.32, 0.48, 0.4, 0.06)), surface(plastic, random, { grain: 0.08 }), {
    bevel: 0.025,
    relief: 0.5,
  });
  for (let i = 0; i < 4; i++)
    canvas.fill(frame.place(rectangle(-0.24 + i * 0.16, -0.35, 0.045, 0.06)), grey(0.6), { opacity: 0.7 });
  const parts = [-1, 0, 1].map((i): Part => {
    const [x, y] = frame.point(i * gap, 0.65);
    return { x, y, radius: frame.unit * 0.2 };
  });
  return objectLayout(canvas, outline, ground, parts);
}

/** A glass bulb with a screw base. */
export function lightBulb(canvas: Canvas, random: Random): Layout {
  const { ground, frame } = lay(canvas, random, { reach: [0.36, 0.44] });
  const glass = standingOut(ground, () =>
    varied(
      random.pick([
        [0.95, 0.93, 0.85],
        [0.85, 0.85, 0.9],
        [0.9, 0.75, 0.45],
        [0.55, 0.5, 0.45],
      ] as const),
      random,
    ),
  );
  const tin = metalOn(ground, random);
  const bulb = union(ellipse(-0.35, 0, 0.62, 0.58), rectangle(0.25, 0, 0.25, 0.3, 0.1));
  const base = rectangle(0.68, 0, 0.28, 0.27, 0.05);
  const outline = frame.place(union(bulb, base));
  canvas.shadow(outline, 0.02, 0.3);
  canvas.fill(frame.place(bulb), surface(glass, random, { grain: 0.01 }), { bevel: 0.08, relief: 0.3 });
  canvas.fill(frame.place(ellipse(-0.5, -0.22, 0.14, 0.08)), grey(1), { opacity: 0.6, soft: 0.02 });
  canvas.fill(frame.place(base), tin, { bevel: 0.03, relief: 0.4 });
  const parts: Part[] = [];
  for (let i = 0; i < 4; i++) {
    const u = 0.48 + i * 0.13;
    canvas.fill(
      frame.place(
        line(
          [
            [u, -0.27],
            [u + 0.03, 0.27],
          ],
          0.022,
        ),
      ),
      scaled(tin, 0.55),
    );
    const [x, y] = frame.point(u, 0);
    parts.push({ x, y, radius: frame.unit * 0.1, reveals: tin });
  }
  return objectLayout(canvas, outline, ground, parts);
}
