import { clamp, cos, fraction, mix, sin, smoothstep, TURN } from '../arithmetic';
import type { Canvas } from '../canvas';
import { anyColour, grey, mixed, scaled, varied } from '../colours';
import { textureLayout, type Layout, type Part } from '../layout';
import { Noise } from '../noise';
import type { Random } from '../random';

const { abs, floor, sqrt } = Math;

/** Coordinates turned by an angle; pairs of numbers without an object each. */
function turned(angle: number): { u: (x: number, y: number) => number; v: (x: number, y: number) => number } {
  const [c, s] = [cos(angle), sin(angle)];
  return { u: (x, y) => x * c + y * s, v: (x, y) => y * c - x * s };
}

/** Threads over and under, as in linen or canvas. */
export function wovenCloth(canvas: Canvas, random: Random): Layout {
  const count = random.range(12, 22);
  const warp = anyColour(random, [0.05, 0.5], [0.45, 0.85]);
  const weft = random.chance(0.5) ? varied(warp, random, 0.08) : anyColour(random, [0.05, 0.5], [0.4, 0.85]);
  const noise = new Noise(random);
  const { u, v } = turned(random.range(-0.25, 0.25));
  const wobble = random.range(0.05, 0.2);
  canvas.paint((x, y) => {
    const a = u(x, y) * count + wobble * noise.at(x * 6, y * 6);
    const b = v(x, y) * count + wobble * noise.at(x * 6 + 40, y * 6);
    const over = (floor(a) + floor(b)) % 2 === 0;
    const across = fraction(over ? a : b) - 0.5;
    const along = fraction(over ? b : a) - 0.5;
    const round = 1 - 2.6 * across * across - 1.2 * along * along;
    const shade =
      round * (0.94 + 0.12 * noise.value(floor(over ? a : b), over ? 3 : 90)) + 0.05 * noise.grain(x * 110, y * 110);
    const thread = over ? warp : weft;
    return [thread[0] * shade, thread[1] * shade, thread[2] * shade];
  });
  return textureLayout(canvas, scaled(warp, 0.25));
}

/** Rows of interlocking V-shaped stitches. */
export function knit(canvas: Canvas, random: Random): Layout {
  const across = random.range(9, 15);
  const down = across * random.range(1, 1.4);
  const wool = anyColour(random, [0.1, 0.7], [0.4, 0.9]);
  const second = random.chance(0.4) ? anyColour(random, [0.1, 0.6], [0.3, 0.9]) : wool;
  const every = random.integer(3, 6);
  const noise = new Noise(random);
  const { u, v } = turned(random.range(-0.15, 0.15));
  canvas.paint((x, y) => {
    const a = u(x, y) * across + 0.12 * noise.at(x * 5, y * 5);
    const side = abs(fraction(a) - 0.5) * 2;
    const b = v(x, y) * down + 0.75 * side;
    const rib = fraction(b) - 0.5;
    const shade =
      (1.05 - 2.4 * rib * rib) * (0.62 + 0.42 * smoothstep(0, 0.3, side) * smoothstep(1.05, 0.7, side)) +
      0.06 * noise.grain(x * 120, y * 120);
    const yarn = floor(b) % every === 0 ? second : wool;
    return [yarn[0] * shade, yarn[1] * shade, yarn[2] * shade];
  });
  return textureLayout(canvas, scaled(wool, 0.2));
}

/** Even coloured stripes, printed or woven. */
export function stripedCloth(canvas: Canvas, random: Random): Layout {
  const count = random.range(5, 13);
  const [a, b] = [anyColour(random, [0.1, 0.7], [0.55, 0.95]), anyColour(random, [0.2, 0.8], [0.2, 0.6])];
  const share = random.range(0.3, 0.7);
  const noise = new Noise(random);
  const { u, v } = turned(random.angle());
  const fine = random.range(60, 90);
  canvas.paint((x, y) => {
    const t = fraction(u(x, y) * count + 0.06 * noise.at(x * 4, y * 4));
    const edge = clamp((abs(t - 0.5) - share / 2) * 14 + 0.5);
    const shade = 0.97 + 0.04 * sin(v(x, y) * fine * TURN * 0.5) + 0.07 * noise.grain(x * 100, y * 100);
    return [mix(a[0], b[0], edge) * shade, mix(a[1], b[1], edge) * shade, mix(a[2], b[2], edge) * shade];
  });
  return textureLayout(canvas, grey(0.15));
}

/** A tablecloth of squares in three tones. */
export function checkedCloth(canvas: Canvas, random: Random): Layout {
  const count = random.range(5, 11);
  const light = anyColour(random, [0, 0.15], [0.8, 0.98]);
  const dark = anyColour(random, [0.4, 0.85], [0.35, 0.8]);
  const noise = new Noise(random);
  const { u, v } = turned(random.range(-0.8, 0.8));
  const tones = [light, mixed(light, dark, 0.5), dark] as const;
  canvas.paint((x, y) => {
    const a = u(x, y) * count;
    const b = v(x, y) * count;
    const tone = tones[((floor(a) & 1) + (floor(b) & 1)) as 0 | 1 | 2];
    const shade = 0.96 + 0.05 * sin((a + b) * 26) + 0.06 * noise.grain(x * 100, y * 100);
    return [tone[0] * shade, tone[1] * shade, tone[2] * shade];
  });
  return textureLayout(canvas, grey(0.12));
}

/** Diagonal ribs of blue or other cotton. */
export function denim(canvas: Canvas, random: Random): Layout {
  const base = random.chance(0.7)
    ? varied([0.22, 0.32, 0.52], random, 0.06)
    : anyColour(random, [0.2, 0.6], [0.25, 0.6]);
  const noise = new Noise(random);
  const { u, v } = turned(random.range(0.6, 1));
  const ribs = random.range(22, 32);
  const steps = ribs * random.range(1.6, 2.2);
  canvas.paint((x, y) => {
    const a = u(x, y) * ribs + 0.2 * noise.at(x * 9, y * 9);
    const rib = fraction(a) - 0.5;
    const broken = noise.value(floor(a), floor(v(x, y) * steps));
    const shade = 1.2 - 2.2 * rib * rib + 0.22 * broken + 0.14 * noise.clouds(x * 3, y * 3, 2);
    return [base[0] * shade, base[1] * shade, base[2] * shade];
  });
  return textureLayout(canvas, scaled(base, 0.3));
}

/** A cut pile: short fibres in random directions. */
export function carpet(canvas: Canvas, random: Random): Layout {
  const base = anyColour(random, [0.05, 0.4], [0.35, 0.75]);
  const fleck = random.chance(0.6) ? anyColour(random, [0.05, 0.4], [0.3, 0.85]) : scaled(base, 0.8);
  const noise = new Noise(random);
  const tufts = random.range(34, 48);
  canvas.paint((x, y) => {
    noise.cell(x * tufts, y * tufts, 0.9);
    const tuft = noise.identity;
    const shade = 1.15 - 0.6 * noise.nearest + 0.22 * noise.grain(x * 112, y * 112) + 0.1 * noise.at(x * 5, y * 5);
    const t = tuft % 5 === 0 ? 0.9 : 0.06 * (tuft % 7);
    return [mix(base[0], fleck[0], t) * shade, mix(base[1], fleck[1], t) * shade, mix(base[2], fleck[2], t) * shade];
  });
  return textureLayout(canvas, scaled(base, 0.3));
}

/** Even round dots, printed on cloth. */
export function dottedCloth(canvas: Canvas, random: Random): Layout {
  const count = random.range(6, 11);
  const ground = anyColour(random, [0.1, 0.8], [0.3, 0.95]);
  const level = (ground[0] + ground[1] + ground[2]) / 3;
  const dot = level > 0.5 ? anyColour(random, [0.3, 0.9], [0.1, 0.4]) : anyColour(random, [0, 0.3], [0.75, 1]);
  const radius = random.range(0.2, 0.34);
  const shift = random.chance(0.5) ? 0.5 : 0;
  const angle = random.range(-0.7, 0.7);
  const { u, v } = turned(angle);
  const noise = new Noise(random);
  canvas.paint((x, y) => {
    const b = v(x, y) * count;
    const a = u(x, y) * count + shift * (floor(b) & 1);
    const du = fraction(a) - 0.5;
    const dv = fraction(b) - 0.5;
    const t = clamp((radius - sqrt(du * du + dv * dv)) * (canvas.size / count) + 0.5);
    const shade = 0.97 + 0.06 * noise.grain(x * 100, y * 100);
    return [mix(ground[0], dot[0], t) * shade, mix(ground[1], dot[1], t) * shade, mix(ground[2], dot[2], t) * shade];
  });
  const back = turned(-angle);
  const parts: Part[] = [];
  for (let j = -12; j < 24; j++) {
    for (let i = -12; i < 24; i++) {
      const [a, b] = [(i + 0.5 - shift * (j & 1)) / count, (j + 0.5) / count];
      parts.push({ x: back.u(a, b), y: back.v(a, b), radius: (radius * 1.15) / count });
    }
  }
  return textureLayout(canvas, ground, parts);
}
