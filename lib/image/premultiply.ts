/**
 * Alpha premultiplied and taken out again with Pillow's integer rounding. Images with alpha are resized premultiplied,
 * so that the colour of a fully transparent pixel does not bleed into its neighbours.
 */

/** round(a * b / 255) for a and b in 0..255, without a division. */
export function multiply255(a: number, b: number): number {
  const product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}

/**
 * @param data uint8 [pixels, channels], alpha last (LA or RGBA)
 * @returns a new array of that shape, colours multiplied by alpha / 255
 */
export function premultiply(data: Uint8Array, channels: 2 | 4): Uint8Array {
  const out = new Uint8Array(data.length);
  for (let at = 0; at < data.length; at += channels) {
    const alpha = data[at + channels - 1] as number;
    for (let channel = 0; channel < channels - 1; channel++) {
      out[at + channel] = multiply255(data[at + channel] as number, alpha);
    }
    out[at + channels - 1] = alpha;
  }
  return out;
}

/**
 * The inverse of {@link premultiply} up to rounding: colours divided by alpha / 255, rounded down and clipped at 255. Where
 * alpha is 0 the colour stays as it is.
 */
export function unpremultiply(data: Uint8Array, channels: 2 | 4): Uint8Array {
  const out = new Uint8Array(data);
  for (let at = 0; at < data.length; at += channels) {
    const alpha = data[at + channels - 1] as number;
    if (alpha === 0 || alpha === 255) continue;
    for (let channel = 0; channel < channels - 1; channel++) {
      out[at + channel] = Math.min(255, Math.trunc((255 * (data[at + channel] as number)) / alpha));
    }
  }
  return out;
}
