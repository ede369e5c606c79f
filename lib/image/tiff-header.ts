const COMPRESSION = 259;
/** Old-style and new-style JPEG. */
const JPEG = [6, 7];

/** Whether a TIFF packs its first picture as JPEG, which libvips does not tell. Source: TIFF 6.0, sections 2 and 22. */
export function isJpegTiff(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 8 || !['II', 'MM'].includes(String.fromCharCode(bytes[0] as number, bytes[1] as number))) return false;
  const little = bytes[0] === 0x49;
  if (view.getUint16(2, little) !== 42) return false;
  const directory = view.getUint32(4, little);
  if (directory + 2 > bytes.length) return false;
  for (let at = directory + 2, left = view.getUint16(directory, little); left > 0 && at + 12 <= bytes.length; left--, at += 12) {
    if (view.getUint16(at, little) === COMPRESSION) return JPEG.includes(view.getUint16(at + 8, little));
  }
  return false;
}
