import { clamp, cos, fraction, mix, sin, smoothstep, TURN } from '../arithmetic';
import type { Canvas } from '../canvas';
import { anyColour, grey, hsv, scaled, varied, type Colour } from '../colours';
import { textureLayout, type Layout, type Part } from '../layout';
import { Noise } from '../noise';
import type { Random } from '../random';

const { PI, floor, max, min, sqrt } = Math;

/** Round stones of several colours. */
export function gravel(canvas: Canvas, random: Random): Layout {
  const count = random.range(10, 17);
  const base = anyColour(random, [0, 0.2], [0.5, 0.8]);
  const stones = Array.from({ length: 8 }, () => varied(base, random, random.range(0.06, 0.14)));
  const noise = new Noise(random);
  canvas.paint((x, y) => {
    noise.cell(x * count, y * count, 0.85);
    const stone = stones[noise.identity & 7]!;
    const gap = smoothstep(0.02, 0.28, noise.second - noise.nearest);
    const lean = (noise.centreX - x * count) * 0.35 + (noise.centreY - y * count) * 0.35;
    const shade = (0.3 + 0.75 * gap) * (1 + lean) + 0.08 * noise.grain(x * 100, y * 100);
    return [stone[0] * shade, stone[1] * shade, stone[2] * shade];
  });
  return textureLayout(canvas, scaled(base, 0.3));
}

/** Stone chips set in cement, polished flat. */
export function terrazzo(canvas: Canvas, random: Random): Layout {
  const cement = anyColour(random, [0, 0.15], [0.65, 0.92]);
  const chips = Array.from({ length: 5 }, () => anyColour(random, [0.05, 0.55], [0.3, 0.85]));
  const count = random.range(9, 15);
  const noise = new Noise(random);
  canvas.paint((x, y) => {
    noise.cell(x * count + 0.3 * noise.at(x * 20, y * 20), y * count, 1);
    const size = 0.18 + (0.25 * ((noise.identity * 37) % 100)) / 100;
    const t =
      noise.identity % 3 === 0
        ? 0
        : clamp((size - noise.nearest) * (canvas.size / count) + 0.5) *
          smoothstep(0.02, 0.1, noise.second - noise.nearest);
    const chip = chips[noise.identity % 5]!;
    const shade = 1 + 0.05 * noise.grain(x * 100, y * 100);
    return [mix(cement[0], chip[0], t) * shade, mix(cement[1], chip[1], t) * shade, mix(cement[2], chip[2], t) * shade];
  });
  return textureLayout(canvas, grey(0.2));
}

interface Courses {
  readonly across: number;
  readonly down: number;
  readonly shift: number;
  readonly joint: number;
  readonly mortar: Colour;
  readonly faces: readonly Colour[];
  readonly rough: number;
  readonly bevel: number;
}

/** Rectangles in rows with joints between: bricks and tiles. */
function courses(
  canvas: Canvas,
  random: Random,
  { across, down, shift, joint, mortar, faces, rough, bevel }: Courses,
): Layout {
  const noise = new Noise(random);
  const angle = random.range(-0.06, 0.06);
  const [c, s] = [cos(angle), sin(angle)];
  const [ox, oy] = [random.next(), random.next()];
  canvas.paint((x, y) => {
    const b = (y * c - x * s) * down + oy;
    const row = floor(b);
    const a = (x * c + y * s) * across + ox + shift * (row & 1);
    const column = floor(a);
    const da = min(fraction(a), 1 - fraction(a)) / across;
    const db = min(fraction(b), 1 - fraction(b)) / down;
    const d = min(da, db) - joint / 2 + rough * 0.004 * noise.at(x * 25, y * 25);
    const t = clamp(d * canvas.size + 0.5);
    const pick = floor((noise.value(column, row) + 1) * 0.4999 * faces.length);
    const face = faces[pick]!;
    const rim = d < bevel ? (fraction(b) < 0.5 === db < da ? 1.1 : 0.88) : 1;
    const shade =
      rim *
      (1 +
        0.09 * noise.value(column + 7, row + 3) +
        rough * (0.1 * noise.clouds(x * 12, y * 12, 2) + 0.1 * noise.grain(x * 100, y * 100)));
    const ground = 1 + 0.12 * noise.grain(x * 110, y * 110);
    return [
      mix(mortar[0] * ground, face[0] * shade, t),
      mix(mortar[1] * ground, face[1] * shade, t),
      mix(mortar[2] * ground, face[2] * shade, t),
    ];
  });
  return textureLayout(canvas, mortar);
}

export function brickWall(canvas: Canvas, random: Random): Layout {
  const clay = random.chance(0.7)
    ? hsv(random.range(0, 0.06), random.range(0.4, 0.7), random.range(0.45, 0.7))
    : anyColour(random, [0, 0.2], [0.4, 0.8]);
  return courses(canvas, random, {
    across: random.range(2.5, 4),
    down: random.range(6, 9),
    shift: 0.5,
    joint: random.range(0.012, 0.02),
    mortar: grey(random.range(0.55, 0.8)),
    faces: Array.from({ length: 5 }, () => varied(clay, random, 0.05)),
    rough: random.range(0.7, 1.2),
    bevel: 0.006,
  });
}

export function tiles(canvas: Canvas, random: Random): Layout {
  const glaze = anyColour(random, [0, 0.5], [0.5, 0.95]);
  const count = random.range(3.5, 6.5);
  return courses(canvas, random, {
    across: count,
    down: count,
    shift: 0,
    joint: random.range(0.012, 0.022),
    mortar: grey(random.range(0.25, 0.8)),
    faces: Array.from({ length: random.integer(1, 4) }, () => varied(glaze, random, 0.04)),
    rough: random.range(0.15, 0.4),
    bevel: 0.012,
  });
}

/** Boards with rings and fibres along the grain. */
export function wood(canvas: Canvas, random: Random): Layout {
  const light = hsv(random.range(0.05, 0.1), random.range(0.3, 0.6), random.range(0.6, 0.88));
  const dark = scaled(light, random.range(0.5, 0.72));
  const noise = new Noise(random);
  const angle = random.chance(0.5) ? random.range(-0.1, 0.1) : PI / 2 + random.range(-0.1, 0.1);
  const [c, s] = [cos(angle), sin(angle)];
  const rings = random.range(4, 9);
  const bend = random.range(0.6, 1.6);
  const boards = random.chance(0.4) ? random.range(2, 4) : 0;
  canvas.paint((x, y) => {
    const u = x * c + y * s;
    const v = y * c - x * s;
    const board = boards > 0 ? floor(v * boards) : 0;
    const ring = fraction(v * rings + bend * noise.at(u * 1.2 + board * 9, v * 2.5 + board * 5) + board * 0.37);
    const fibre = noise.grain(u * 7, v * 105);
    const t = clamp(0.15 + 0.55 * ring * ring * smoothstep(1, 0.82, ring) * 1.6 + 0.16 * fibre);
    const seam =
      boards > 0 ? smoothstep(0.004, 0.012, min(fraction(v * boards), 1 - fraction(v * boards)) / boards) : 1;
    const shade = (0.35 + 0.65 * seam) * (1 + 0.08 * (board & 1));
    return [mix(light[0], dark[0], t) * shade, mix(light[1], dark[1], t) * shade, mix(light[2], dark[2], t) * shade];
  });
  return textureLayout(canvas, scaled(dark, 0.4));
}

/** Wall plaster with fine bumps. */
export function plaster(canvas: Canvas, random: Random): Layout {
  const base = anyColour(random, [0, 0.3], [0.6, 0.92]);
  canvas.flood(base);
  const noise = new Noise(random);
  const fine = random.range(14, 26);
  canvas.emboss((x, y) => 0.02 * noise.clouds(x * fine, y * fine, 3), random.range(0.5, 0.9));
  return textureLayout(canvas, scaled(base, 0.35));
}

/** Sand blown into ripples. */
export function sand(canvas: Canvas, random: Random): Layout {
  const base = hsv(random.range(0.08, 0.13), random.range(0.2, 0.5), random.range(0.65, 0.9));
  const noise = new Noise(random);
  const angle = random.angle();
  const [c, s] = [cos(angle), sin(angle)];
  const ripples = random.range(5, 11);
  const bend = random.range(0.3, 0.8);
  const depth = random.range(0.05, 0.16);
  canvas.paint((x, y) => {
    const phase = (x * c + y * s) * ripples + bend * noise.clouds(x * 3, y * 3, 2);
    const shade = 1 + depth * sin(phase * TURN) + 0.16 * noise.grain(x * 112, y * 112);
    return [base[0] * shade, base[1] * shade, base[2] * shade];
  });
  return textureLayout(canvas, scaled(base, 0.35));
}

/** Overlapping round scales, as on a roof or a fish. */
export function scales(canvas: Canvas, random: Random): Layout {
  const base = anyColour(random, [0.1, 0.6], [0.4, 0.8]);
  const count = random.range(6, 10);
  const noise = new Noise(random);
  const [ox, oy] = [random.next(), random.next()];
  canvas.paint((x, y) => {
    const b = y * count * 1.6 + oy;
    let row = floor(b);
    // The row above hangs over this one where its round edge reaches down.
    let a = x * count + ox + 0.5 * (row & 1);
    let da = fraction(a) - 0.5;
    const reach = fraction(b) + 0.3;
    const round = sqrt(max(0, 0.25 - da * da)) * 1.9;
    if (reach > round) {
      row += 1;
      a = x * count + ox + 0.5 * (row & 1);
      da = fraction(a) - 0.5;
    }
    const inside = reach > round ? reach - round + 0.12 : 1;
    const shade =
      (0.55 + 0.5 * smoothstep(0, 0.5, inside)) * (1 + 0.3 * da) * (1 + 0.12 * noise.value(floor(a), row)) +
      0.05 * noise.grain(x * 100, y * 100);
    return [base[0] * shade, base[1] * shade, base[2] * shade];
  });
  return textureLayout(canvas, scaled(base, 0.3));
}

/** Blocks laid in zigzag. */
export function parquet(canvas: Canvas, random: Random): Layout {
  const base = hsv(random.range(0.04, 0.1), random.range(0.3, 0.65), random.range(0.5, 0.85));
  const noise = new Noise(random);
  const count = random.range(2.5, 4.5);
  const strips = random.integer(3, 5);
  const [ox, oy] = [random.next(), random.next()];
  canvas.paint((x, y) => {
    const a = x * count + ox;
    const b = y * count + oy;
    const upright = (floor(a) + floor(b)) % 2 === 0;
    const along = upright ? b : a;
    const across = (upright ? a : b) * strips;
    const joint = min(fraction(across), 1 - fraction(across)) / (count * strips);
    const end = min(fraction(along), 1 - fraction(along)) / count;
    const seam = 0.5 + 0.5 * smoothstep(0.001, 0.009, min(joint, end));
    const tone = 1 + 0.16 * noise.value(floor(across) + (upright ? 31 : 0), floor(along));
    const shade = seam * tone * (1 + 0.1 * noise.grain(along * 8, across * 14));
    return [base[0] * shade, base[1] * shade, base[2] * shade];
  });
  return textureLayout(canvas, scaled(base, 0.3));
}

/** Beans or pearls in even rows. */
export function beads(canvas: Canvas, random: Random): Layout {
  const count = random.range(6, 10);
  const bead = anyColour(random, [0.1, 0.8], [0.5, 0.95]);
  const ground = anyColour(random, [0, 0.3], [0.1, 0.35]);
  const shift = random.chance(0.5) ? 0.5 : 0;
  const noise = new Noise(random);
  const [ox, oy] = [random.next(), random.next()];
  canvas.paint((x, y) => {
    const b = y * count + oy;
    const row = floor(b);
    const a = x * count + ox + shift * (row & 1);
    const du = fraction(a) - 0.5;
    const dv = fraction(b) - 0.5;
    const d = sqrt(du * du + dv * dv);
    const t = clamp((0.44 - d) * (canvas.size / count) + 0.5);
    const shine = smoothstep(0.16, 0.02, sqrt((du + 0.15) * (du + 0.15) + (dv + 0.17) * (dv + 0.17)));
    const shade = (1.08 - 2.2 * d * d - 0.35 * (du + dv)) * (1 + 0.07 * noise.value(floor(a), row));
    const lit = 0.6 * shine;
    return [
      mix(ground[0], bead[0] * shade + lit, t),
      mix(ground[1], bead[1] * shade + lit, t),
      mix(ground[2], bead[2] * shade + lit, t),
    ];
  });
  const parts: Part[] = [];
  for (let j = -1; j < count + 1; j++) {
    for (let i = -2; i < count + 1; i++)
      parts.push({ x: (i + 0.5 - ox - shift * (j & 1)) / count, y: (j + 0.5 - oy) / count, radius: 0.47 / count });
  }
  return textureLayout(canvas, ground, parts);
}
