import { clamp, cos, fraction, mix, sin, smoothstep, TURN } from '../arithmetic';
import type { Canvas } from '../canvas';
import { anyColour, grey, hsv, mixed, scaled, varied, type Colour } from '../colours';
import { textureLayout, type Layout, type Part } from '../layout';
import { Noise } from '../noise';
import type { Random } from '../random';

const { PI, abs, floor, max, sqrt } = Math;

/** Tanned skin: rounded cells with dark creases between. */
export function leather(canvas: Canvas, random: Random): Layout {
  const base = hsv(random.range(0, 0.12), random.range(0.2, 0.7), random.range(0.3, 0.75));
  const noise = new Noise(random);
  const cells = random.range(11, 17);
  canvas.paint((x, y) => {
    const shade = 1 + 0.18 * noise.clouds(x * 4, y * 4, 2);
    return [base[0] * shade, base[1] * shade, base[2] * shade];
  });
  const heights = new Noise(random);
  canvas.emboss(
    (x, y) => {
      heights.cell(x * cells + 0.4 * heights.at(x * 9, y * 9), y * cells, 0.95);
      return 0.016 * smoothstep(0, 0.65, heights.second - heights.nearest);
    },
    random.range(0.4, 0.75),
  );
  return textureLayout(canvas, scaled(base, 0.3));
}

/** A rolled sheet, ground in one direction. */
export function brushedMetal(canvas: Canvas, random: Random): Layout {
  const base = hsv(random.range(0.05, 0.65), random.range(0, 0.12), random.range(0.5, 0.8));
  const noise = new Noise(random);
  const angle = random.angle();
  const [c, s] = [cos(angle), sin(angle)];
  const stretch = random.range(2, 5);
  const strength = random.range(0.12, 0.25);
  const band = random.range(0.5, 1.5);
  canvas.paint((x, y) => {
    const u = x * c + y * s;
    const v = y * c - x * s;
    const shade =
      1 +
      strength * (noise.grain(u * stretch, v * 100) * 0.7 + noise.grain(u * stretch * 3, v * 55 + 70) * 0.5) +
      0.12 * sin(v * TURN * band);
    return [base[0] * shade, base[1] * shade, base[2] * shade];
  });
  return textureLayout(canvas, grey(0.1));
}

/** Polished stone with veins. */
export function marble(canvas: Canvas, random: Random): Layout {
  const light = anyColour(random, [0, 0.15], [0.75, 0.95]);
  const dark = anyColour(random, [0.05, 0.4], [0.3, 0.6]);
  const noise = new Noise(random);
  const angle = random.angle();
  const [c, s] = [cos(angle), sin(angle)];
  const veins = random.range(1.5, 3.5);
  const bend = random.range(0.8, 1.6);
  canvas.paint((x, y) => {
    const warp = noise.clouds(x * 3, y * 3, 4);
    const t = abs(fraction((x * c + y * s) * veins + bend * warp) - 0.5) * 2;
    const vein = (1 - smoothstep(0, 0.35, t)) * (0.45 + 0.6 * noise.at(x * 4 + 30, y * 4));
    const m = clamp(0.75 * vein + 0.25 * clamp(0.4 + warp));
    return [mix(light[0], dark[0], m), mix(light[1], dark[1], m), mix(light[2], dark[2], m)];
  });
  return textureLayout(canvas, grey(0.12));
}

/** A sheet with rounded ribs. */
export function corrugatedBoard(canvas: Canvas, random: Random): Layout {
  const base = random.chance(0.6)
    ? varied([0.74, 0.6, 0.42], random, 0.06)
    : anyColour(random, [0.05, 0.4], [0.5, 0.85]);
  const noise = new Noise(random);
  const ribs = random.range(7, 16);
  const angle = random.angle();
  const [c, s] = [cos(angle), sin(angle)];
  const depth = random.range(0.14, 0.3);
  canvas.paint((x, y) => {
    const phase = (x * c + y * s) * ribs + 0.05 * noise.at(x * 5, y * 5);
    const shade = 1 + depth * sin(phase * TURN) + 0.07 * noise.grain(x * 110, y * 110) + 0.1 * noise.at(x * 3, y * 3);
    return [base[0] * shade, base[1] * shade, base[2] * shade];
  });
  return textureLayout(canvas, scaled(base, 0.25));
}

/** Paper with fibres, slightly clouded. */
export function paper(canvas: Canvas, random: Random): Layout {
  const base = anyColour(random, [0, 0.25], [0.7, 0.97]);
  const noise = new Noise(random);
  const angle = random.angle();
  const [c, s] = [cos(angle), sin(angle)];
  canvas.paint((x, y) => {
    const u = x * c + y * s;
    const v = y * c - x * s;
    const shade =
      1 +
      0.05 * noise.grain(u * 30, v * 112) +
      0.05 * noise.grain(x * 112, y * 112) +
      0.08 * noise.clouds(x * 5, y * 5, 3);
    return [base[0] * shade, base[1] * shade, base[2] * shade];
  });
  return textureLayout(canvas, grey(0.2));
}

/** A thin sheet punched with round holes. */
export function perforatedSheet(canvas: Canvas, random: Random): Layout {
  const metal = hsv(random.range(0.5, 0.65), random.range(0, 0.15), random.range(0.55, 0.85));
  const behind = random.chance(0.7) ? grey(random.range(0.05, 0.2)) : anyColour(random, [0.2, 0.6], [0.15, 0.35]);
  const count = random.range(6, 11);
  const radius = random.range(0.24, 0.34);
  const shift = random.chance(0.6) ? 0.5 : 0;
  const noise = new Noise(random);
  const [ox, oy] = [random.next(), random.next()];
  canvas.paint((x, y) => {
    const b = y * count + oy;
    const a = x * count + ox + shift * (floor(b) & 1);
    const du = fraction(a) - 0.5;
    const dv = fraction(b) - 0.5;
    const d = sqrt(du * du + dv * dv) - radius;
    const t = clamp(d * (canvas.size / count) + 0.5);
    const rim = d > 0 && d < 0.09 ? 1 + 0.35 * (du + dv) * (1 - d / 0.09) : 1;
    const shade = rim * (1 + 0.05 * noise.grain(x * 100, y * 8) + 0.1 * noise.at(x * 2, y * 2));
    return [
      mix(behind[0], metal[0] * shade, t),
      mix(behind[1], metal[1] * shade, t),
      mix(behind[2], metal[2] * shade, t),
    ];
  });
  const parts: Part[] = [];
  for (let j = -1; j < count + 1; j++) {
    for (let i = -2; i < count + 1; i++)
      parts.push({
        x: (i + 0.5 - ox - shift * (j & 1)) / count,
        y: (j + 0.5 - oy) / count,
        radius: (radius * 1.25) / count,
      });
  }
  return textureLayout(canvas, metal, parts);
}

/** Crossed wires over a dark or bright ground. */
export function wireMesh(canvas: Canvas, random: Random): Layout {
  const wire = hsv(random.range(0, 0.65), random.range(0, 0.25), random.range(0.6, 0.9));
  const ground: Colour = random.chance(0.7) ? grey(random.range(0.04, 0.2)) : anyColour(random, [0, 0.4], [0.1, 0.3]);
  const count = random.range(6, 11);
  const width = random.range(0.13, 0.22);
  const angle = random.chance(0.5) ? random.range(-0.1, 0.1) : PI / 4 + random.range(-0.1, 0.1);
  const [c, s] = [cos(angle), sin(angle)];
  const noise = new Noise(random);
  const shiny = random.range(0.3, 0.7);
  canvas.paint((x, y) => {
    const a = (x * c + y * s) * count + 0.08 * noise.at(x * 4, y * 4);
    const b = (y * c - x * s) * count + 0.08 * noise.at(x * 4 + 60, y * 4);
    const da = (fraction(a) - 0.5) / width;
    const db = (fraction(b) - 0.5) / width;
    const over = (floor(a) + floor(b)) % 2 === 0;
    const d = abs(da) < 1 && (over || abs(db) >= 1) ? da : db;
    const t = clamp((1 - abs(d)) * width * (canvas.size / count) + 0.5);
    const shade = (1 - 0.5 * d * d) * (1 + shiny * (0.25 - abs(d + 0.35)) * 0.6) + 0.05 * noise.grain(x * 100, y * 100);
    return [mix(ground[0], wire[0] * shade, t), mix(ground[1], wire[1] * shade, t), mix(ground[2], wire[2] * shade, t)];
  });
  return textureLayout(canvas, ground);
}

/** Hexagonal cells with walls. */
export function honeycomb(canvas: Canvas, random: Random): Layout {
  const wall = random.chance(0.5)
    ? hsv(random.range(0.09, 0.14), random.range(0.5, 0.85), random.range(0.65, 0.95))
    : anyColour(random, [0, 0.4], [0.6, 0.9]);
  const inside = scaled(wall, random.range(0.25, 0.5));
  const count = random.range(6, 10);
  const thickness = random.range(0.09, 0.15);
  const noise = new Noise(random);
  const angle = random.angle();
  const [c, s] = [cos(angle), sin(angle)];
  const [ox, oy] = [random.next(), random.next()];
  canvas.paint((x, y) => {
    const u = (x * c + y * s) * count + ox;
    const v = (y * c - x * s) * count + oy;
    // Nearest of the two rectangular lattices that make up the hexagonal one.
    const r3 = 1.7320508;
    const ax = fraction(u) - 0.5;
    const ay = (fraction(v / r3) - 0.5) * r3;
    const bx = fraction(u + 0.5) - 0.5;
    const by = (fraction(v / r3 + 0.5) - 0.5) * r3;
    const first = ax * ax + ay * ay < bx * bx + by * by;
    const hx = abs(first ? ax : bx);
    const hy = abs(first ? ay : by);
    const edge = 0.5 - max(hx, hx * 0.5 + hy * 0.8660254);
    const t = clamp((thickness - edge) * (canvas.size / count) + 0.5);
    const deep = 0.75 + 0.9 * edge + 0.3 * (first ? ay : by);
    const shade = 1 + 0.12 * noise.at(x * 4, y * 4) + 0.06 * noise.grain(x * 100, y * 100);
    return [
      mix(inside[0] * deep, wall[0], t) * shade,
      mix(inside[1] * deep, wall[1], t) * shade,
      mix(inside[2] * deep, wall[2], t) * shade,
    ];
  });
  return textureLayout(canvas, scaled(inside, 0.4));
}

/** A metal sheet beaten with a round hammer. */
export function hammeredMetal(canvas: Canvas, random: Random): Layout {
  const metal = random.chance(0.5)
    ? hsv(random.range(0.05, 0.13), random.range(0.25, 0.55), random.range(0.6, 0.85))
    : hsv(0.6, random.range(0, 0.1), random.range(0.55, 0.8));
  const noise = new Noise(random);
  const blows = random.range(7, 12);
  canvas.paint((x, y) => scaled(metal, 1 + 0.1 * noise.at(x * 3, y * 3) + 0.04 * noise.grain(x * 100, y * 100)));
  canvas.emboss(
    (x, y) => {
      noise.cell(x * blows, y * blows, 0.9);
      return (noise.nearest * noise.nearest * 0.7) / blows;
    },
    random.range(0.35, 0.6),
  );
  return textureLayout(canvas, mixed(metal, [0, 0, 0], 0.85));
}
