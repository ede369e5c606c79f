import { clamp, cos, length, sin, smoothstep } from '../arithmetic';
import { mixed, scaled, type Colour } from '../colours';
import { Noise } from '../noise';
import { circle, intersection, line, polygon, type Point, type Shape } from '../shapes';
import { blob, depthAt, inkAt, onThing, path, pathThrough, spotOn, type DrawDefect } from './surface';

const { PI, floor, min, round, sign, sqrt } = Math;

/** A straight or slightly bent line, dark with a bright lip or the other way round. */
export const scratch: DrawDefect = (canvas, layout, random, vigour) => {
  const at = spotOn(canvas, layout, random);
  const on = onThing(canvas, layout);
  const count = random.chance(0.25) ? 2 : 1;
  const direction = random.angle();
  const tone = inkAt(canvas, at, random, vigour, { saturation: [0, 0.2], contrast: [0.25, 0.5] });
  for (let i = 0; i < count; i++) {
    const points = pathThrough(
      [at[0] + i * 0.035, at[1] - i * 0.02],
      direction + i * 0.1,
      random.range(0.18, 0.45) * vigour.extent,
      8,
      0.05,
      random,
    );
    const half = random.range(0.0045, 0.009) * sqrt(vigour.extent);
    const groove = line(points, (t) => half * (0.35 + 2.6 * t * (1 - t)));
    canvas.cover(tone, (x, y) => clamp(0.5 - groove.distance(x, y) * canvas.size) * on(x, y) * 0.95, groove.box);
    const lip = line(
      points.map(([x, y]): Point => [x + half * 1.2, y + half * 1.2]),
      half * 0.5,
    );
    canvas.cover(
      mixed(tone, canvas.colourAt(...at), 1.3),
      (x, y) => clamp(0.5 - lip.distance(x, y) * canvas.size) * on(x, y) * 0.3,
      lip.box,
    );
  }
};

/** A liquid that dried: uneven, darker towards its edge. */
export const stain: DrawDefect = (canvas, layout, random, vigour) => {
  const at = spotOn(canvas, layout, random);
  const on = onThing(canvas, layout);
  const radius = random.range(0.05, 0.12) * vigour.extent;
  const shape = blob(at, radius, 0.5, random);
  const tone = inkAt(canvas, at, random, vigour, { hue: [0, 0.17], saturation: [0.2, 0.7], reach: 0.08 });
  const noise = new Noise(random);
  const strength = random.range(0.55, 0.8);
  canvas.cover(
    tone,
    (x, y) => {
      const d = shape.distance(x, y) / radius;
      return (
        on(x, y) *
        strength *
        smoothstep(0.1, -0.12, d) *
        (0.75 + 0.4 * smoothstep(-0.5, -0.1, d) + 0.5 * noise.clouds(x * 14, y * 14, 2))
      );
    },
    shape.box,
  );
};

/** A hole through the object. */
export const hole: DrawDefect = (canvas, layout, random, vigour) => {
  const at = spotOn(canvas, layout, random);
  const on = onThing(canvas, layout);
  const radius = random.range(0.03, 0.065) * vigour.extent;
  const shape = blob(at, radius, random.range(0.1, 0.5), random);
  const deep = depthAt(canvas, layout, at, vigour);
  const rim = scaled(canvas.colourAt(...at), 0.6);
  canvas.cover(rim, (x, y) => on(x, y) * 0.6 * smoothstep(0.35, 0, shape.distance(x, y) / radius), shape.box);
  canvas.cover(deep, (x, y) => on(x, y) * clamp(0.5 - shape.distance(x, y) * canvas.size), shape.box);
};

/** A hollow pressed into the surface: one side in shade, the other lit. */
export const dent: DrawDefect = (canvas, layout, random, vigour) => {
  const [cx, cy] = spotOn(canvas, layout, random, 0.04);
  const on = onThing(canvas, layout);
  const radius = random.range(0.055, 0.11) * vigour.extent;
  const squash = random.range(0.6, 1);
  const lean = random.angle();
  const [c, s] = [cos(lean), sin(lean)];
  const depth = random.range(0.3, 0.45) * vigour.contrast * radius * random.sign();
  const before = canvas.copy();
  canvas.emboss(
    (x, y) => {
      const u = ((x - cx) * c + (y - cy) * s) / radius;
      const v = ((y - cy) * c - (x - cx) * s) / (radius * squash);
      const t = clamp(1 - u * u - v * v);
      return depth * t * t;
    },
    1,
    [cx - radius, cy - radius, cx + radius, cy + radius],
  );
  // On black there is no light to shift: the lit side has to shine.
  const dark = before.around(cx, cy, radius).mean;
  if (dark[0] + dark[1] + dark[2] < 0.75) {
    const [lx, ly] = [cos(canvas.light) * sign(-depth), sin(canvas.light) * sign(-depth)];
    canvas.cover(
      [0.75, 0.75, 0.75],
      (x, y) => {
        const u = (x - cx) / radius;
        const v = (y - cy) / radius;
        const r = length(u, v);
        return 0.6 * clamp(-(u * lx + v * ly)) * smoothstep(1, 0.7, r) * smoothstep(0.1, 0.6, r);
      },
      [cx - radius, cy - radius, cx + radius, cy + radius],
    );
  }
  // Damage stays on the object.
  const n = canvas.size;
  for (let i = 0; i < n * n; i++) {
    if (on(((i % n) + 0.5) / n, (floor(i / n) + 0.5) / n) > 0.5) continue;
    for (let channel = 0; channel < 3; channel++) canvas.pixels[3 * i + channel] = before.pixels[3 * i + channel]!;
  }
};

/** A jagged line that branches. */
export const crack: DrawDefect = (canvas, layout, random, vigour) => {
  const at = spotOn(canvas, layout, random);
  const on = onThing(canvas, layout);
  const tone = inkAt(canvas, at, random, vigour, { saturation: [0, 0.3], contrast: [0.35, 0.6] });
  const direction = random.angle();
  const reach = random.range(0.22, 0.42) * vigour.extent;
  const main = pathThrough(at, direction, reach, 11, 0.6, random);
  const half = random.range(0.004, 0.0075) * sqrt(vigour.extent);
  const branches: Shape[] = [line(main, (t) => half * (1.4 - t))];
  const count = random.integer(1, 3);
  for (let i = 0; i < count; i++) {
    const start = main[random.integer(2, 9)]!;
    branches.push(
      line(
        path(start, direction + random.sign() * random.range(0.5, 1.1), reach * random.range(0.2, 0.4), 5, 0.6, random),
        (t) => half * (1 - 0.7 * t),
      ),
    );
  }
  for (const branch of branches)
    canvas.cover(tone, (x, y) => clamp(0.5 - branch.distance(x, y) * canvas.size) * on(x, y), branch.box);
};

/** One of the repeated parts is not there; an object without such parts lost a piece of its surface. */
export const missingPart: DrawDefect = (canvas, layout, random, vigour) => {
  const noise = new Noise(random);
  if (layout.parts.length > 0) {
    const first = random.pick(layout.parts);
    const alike = layout.parts
      .filter((part) => part !== first)
      .sort((a, b) => length(a.x - first.x, a.y - first.y) - length(b.x - first.x, b.y - first.y));
    const gone = [first, ...alike.slice(0, round((vigour.extent - 1) * 3))];
    for (const part of gone) {
      const tone = part.reveals ?? layout.beneath;
      const shape = circle(part.x, part.y, part.radius);
      canvas.fill(shape, (x, y) => scaled(tone, 1 + 0.05 * noise.grain(x * 100, y * 100)), {
        soft: min(0.012, part.radius * 0.25),
      });
    }
    return;
  }
  const at = spotOn(canvas, layout, random, 0.04);
  const on = onThing(canvas, layout);
  const radius = random.range(0.05, 0.09) * vigour.extent;
  const shape = blob(at, radius, 0.25, random);
  const deep = mixed(
    canvas.around(...at, radius).mean,
    depthAt(canvas, layout, at, vigour),
    clamp(0.45 * vigour.contrast),
  );
  canvas.cover(deep, (x, y) => on(x, y) * clamp(0.5 - shape.distance(x, y) * canvas.size * 0.6), shape.box);
};

/** A spot of a colour that does not belong there. */
export const colourSpot: DrawDefect = (canvas, layout, random, vigour) => {
  const on = onThing(canvas, layout);
  const at = spotOn(canvas, layout, random);
  const tone = inkAt(canvas, at, random, vigour, { saturation: [0.7, 1], contrast: [0.15, 0.35] });
  const count = random.chance(0.3) ? random.integer(2, 4) : 1;
  for (let i = 0; i < count; i++) {
    const place: Point = i === 0 ? at : [at[0] + random.range(-0.1, 0.1), at[1] + random.range(-0.1, 0.1)];
    const radius = (random.range(0.03, 0.065) * vigour.extent) / (i === 0 ? 1 : 2);
    const shape = blob(place, radius, 0.15, random);
    canvas.cover(tone, (x, y) => on(x, y) * 0.9 * clamp(0.5 - shape.distance(x, y) * canvas.size * 0.7), shape.box);
  }
};

/** A hair or fibre that lies on the object. */
export const fibre: DrawDefect = (canvas, layout, random, vigour) => {
  const at = spotOn(canvas, layout, random);
  const tone = inkAt(canvas, at, random, vigour, { saturation: [0, 0.6], contrast: [0.35, 0.65] });
  const points = pathThrough(at, random.angle(), random.range(0.3, 0.5) * vigour.extent, 14, 0.3, random);
  const hair = line(points, random.range(0.0042, 0.0065) * sqrt(vigour.extent));
  canvas.shadow(hair, 0.006, 0.25);
  canvas.fill(hair, tone);
};

/** A piece broken off at the edge; of a texture, off the border of the image. */
export const brokenEdge: DrawDefect = (canvas, layout, random, vigour) => {
  const on = onThing(canvas, layout);
  let [x, y] = [0.5, 0];
  let inward = random.angle();
  if (layout.texture) {
    const along = random.range(0.15, 0.85);
    const side = random.integer(0, 3);
    [x, y] = side === 0 ? [along, 0] : side === 1 ? [1, along] : side === 2 ? [along, 1] : [0, along];
  } else {
    // From a place on the object straight outwards until it ends.
    [x, y] = spotOn(canvas, layout, random);
    for (let i = 0; i < 120 && on(x, y) > 0.5; i++) {
      x += cos(inward) * 0.008;
      y += sin(inward) * 0.008;
    }
    inward += PI;
  }
  const radius = random.range(0.06, 0.11) * vigour.extent;
  const corners = random.integer(7, 10);
  const bite = polygon(
    Array.from({ length: corners }, (_, i): Point => {
      const angle = ((i + random.range(-0.3, 0.3)) / corners) * 2 * PI;
      const r = radius * random.range(0.6, 1.15);
      return [x + r * cos(angle), y + r * sin(angle)];
    }),
  );
  const inside: Point = layout.texture ? [clamp(x), clamp(y)] : [x + cos(inward) * 0.03, y + sin(inward) * 0.03];
  const deep: Colour = layout.texture ? depthAt(canvas, layout, inside, vigour) : layout.beneath;
  const torn = scaled(mixed(canvas.colourAt(...inside), [0.5, 0.5, 0.5], 0.3), 0.7);
  canvas.cover(torn, (u, v) => on(u, v) * clamp(0.5 - (bite.distance(u, v) - 0.012) * canvas.size) * 0.8, [
    x - radius * 1.3,
    y - radius * 1.3,
    x + radius * 1.3,
    y + radius * 1.3,
  ]);
  canvas.cover(deep, (u, v) => on(u, v) * clamp(0.5 - bite.distance(u, v) * canvas.size), bite.box);
};

/** Scorched: a brown halo and a charred middle. */
export const burn: DrawDefect = (canvas, layout, random, vigour) => {
  const at = spotOn(canvas, layout, random);
  const on = onThing(canvas, layout);
  const radius = random.range(0.06, 0.12) * vigour.extent;
  const shape = blob(at, radius, 0.35, random);
  const halo = inkAt(canvas, at, random, vigour, { hue: [0.05, 0.1], saturation: [0.5, 0.8], contrast: [0.2, 0.35] });
  const char = inkAt(canvas, at, random, vigour, { hue: [0.05, 0.1], saturation: [0.1, 0.4], contrast: [0.45, 0.7] });
  const noise = new Noise(random);
  const edge = (x: number, y: number): number => shape.distance(x, y) / radius + 0.35 * noise.at(x * 16, y * 16);
  canvas.cover(halo, (x, y) => on(x, y) * 0.8 * smoothstep(0.15, -0.5, edge(x, y)), shape.box);
  canvas.cover(char, (x, y) => on(x, y) * 0.9 * smoothstep(-0.3, -0.75, edge(x, y)), shape.box);
};

/** A thread that came loose and curls. */
export const looseThread: DrawDefect = (canvas, layout, random, vigour) => {
  const at = spotOn(canvas, layout, random);
  const tone = inkAt(canvas, at, random, vigour, { saturation: [0, 0.5], contrast: [0.3, 0.55] });
  const start = random.angle();
  const tightness = random.range(0.35, 0.6) * random.sign();
  const reach = random.range(0.025, 0.034) * vigour.extent;
  const points: Point[] = [at];
  let [x, y] = at;
  let direction = start;
  const steps = random.integer(12, 17);
  for (let i = 0; i < steps; i++) {
    direction += tightness * (1 - (1.7 * i) / steps) + 0.12 * random.normal();
    x += cos(direction) * reach;
    y += sin(direction) * reach;
    points.push([x, y]);
  }
  const thread = line(points, random.range(0.007, 0.01));
  canvas.shadow(thread, 0.01, 0.35);
  canvas.fill(thread, tone, { bevel: 0.008, relief: 0.3 });
};

/** The surface wiped along one direction: what is there is drawn out, with a film over it. */
export const smear: DrawDefect = (canvas, layout, random, vigour) => {
  const [cx, cy] = spotOn(canvas, layout, random, 0.04);
  const on = onThing(canvas, layout);
  const angle = random.angle();
  const [c, s] = [cos(angle), sin(angle)];
  const half = random.range(0.12, 0.19) * vigour.extent;
  const width = half * random.range(0.3, 0.45);
  const before = canvas.copy();
  const film = inkAt(canvas, [cx, cy], random, vigour, { saturation: [0, 0.4], contrast: [0.2, 0.4], reach: 0.1 });
  const noise = new Noise(random);
  const box = intersection(circle(cx, cy, half), circle(cx, cy, half)).box;
  const n = canvas.size;
  const streak = (x: number, y: number): number => {
    const u = ((x - cx) * c + (y - cy) * s) / half;
    const v = ((y - cy) * c - (x - cx) * s) / width;
    return smoothstep(1, 0.75, u * u + v * v + 0.3 * noise.at(v * 5, u));
  };
  canvas.paint((x, y) => {
    const here = before.colourAt(x, y);
    const amount = streak(x, y) * on(x, y);
    if (amount === 0) return here;
    let [r, g, b] = [0, 0, 0];
    for (let i = -4; i <= 4; i++) {
      const there = before.colourAt(x + c * i * 0.022, y + s * i * 0.022);
      r += there[0] / 9;
      g += there[1] / 9;
      b += there[2] / 9;
    }
    const v = ((y - cy) * c - (x - cx) * s) * 60;
    return mixed(here, mixed([r, g, b], film, clamp(0.55 + 0.35 * noise.at(v, n > 0 ? 3 : 0))), 0.9 * amount);
  }, box);
};
