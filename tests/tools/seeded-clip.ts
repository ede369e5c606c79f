/**
 * Writes a CLIP file of a published network's shapes with seeded numbers, as a torch archive of fp16 matrices: a stand-in
 * for the real file wherever only size and speed matter. `crane bench` writes the same for itself.
 *
 *   node -r ts-node/register/transpile-only tests/tools/seeded-clip.ts ViT-L/14@336px <file.pt>
 */
import { writeSeededBackbone } from '../../cli/bench/seeded-files';
import { CLIP_VARIANTS } from '../../lib/encoders/clip-sizes';

const [variant, file] = process.argv.slice(2);
if (variant === undefined || file === undefined) throw new Error('usage: seeded-clip.ts NETWORK FILE');
const sizes = CLIP_VARIANTS[variant];
if (!sizes) throw new Error(`no such network: ${variant}; known: ${Object.keys(CLIP_VARIANTS).join(', ')}`);
writeSeededBackbone(file, sizes);
