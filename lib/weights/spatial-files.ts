import type { SpatialFamily } from '../encoders/spatial-encoder';
import type { RegisteredWeights } from './registered-weights';

/**
 * The official files of the vision models that can guide D-Attn (docs/method.md#second-models), by the names that their
 * authors give them.
 */

/** What a family's name alone means: the files that the paper's program uses. */
export const PAPERS_CHOICE: Readonly<Record<SpatialFamily, string>> = {
  dinov2: 'dinov2_vitb14_reg4',
  dino: 'dino_vitb8',
  sam: 'sam_vit_b',
};

const host = 'https://dl.fbaipublicfiles.com';

interface OfficialFile {
  readonly name: string;
  readonly family: SpatialFamily;
  readonly path: string;
  readonly about: string;
  readonly licence: string;
  /** The host publishes no sha256 and DINO's are unknown. Each of those here is the same in several projects that check it. */
  readonly sha256?: string;
  readonly bytes?: number;
}

const sizeNames = { s: 'ViT-S', b: 'ViT-B', l: 'ViT-L', g: 'ViT-g', h: 'ViT-H' } as const;

function dinov2(size: 's' | 'b' | 'l' | 'g', registers: boolean, sha256: string, bytes?: number): OfficialFile {
  const name = `dinov2_vit${size}14${registers ? '_reg4' : ''}`;
  return {
    name,
    family: 'dinov2',
    path: `dinov2/dinov2_vit${size}14/${name}_pretrain.pth`,
    about: `DINOv2 ${sizeNames[size]}/14${registers ? ' with registers' : ''}${name === PAPERS_CHOICE.dinov2 ? ', what Crane+ is published with' : ''}`,
    licence: 'Apache-2.0 (Meta, DINOv2)',
    sha256,
    ...(bytes === undefined ? {} : { bytes }),
  };
}

function dino(size: 's' | 'b', patch: 8 | 16): OfficialFile {
  const file = `dino_${size === 's' ? 'deitsmall' : 'vitbase'}${patch}_pretrain`;
  return {
    name: `dino_vit${size}${patch}`,
    family: 'dino',
    path: `dino/${file}/${file}.pth`,
    about: `DINO ${sizeNames[size]}/${patch}`,
    licence: 'Apache-2.0 (Meta, DINO)',
  };
}

function sam(size: 'b' | 'l' | 'h', suffix: string, sha256: string, bytes: number): OfficialFile {
  const path = `segment_anything/sam_vit_${size}_${suffix}.pth`;
  return {
    name: `sam_vit_${size}`,
    family: 'sam',
    path,
    about: `Segment Anything ${sizeNames[size]}`,
    licence: 'Apache-2.0 (Meta, Segment Anything)',
    sha256,
    bytes,
  };
}

const officialFiles: readonly OfficialFile[] = [
  dinov2('b', true, '73182a088cf94833c94b1666d1c99e02fe87e2007bff57b564fb6206e25dba71', 346_393_545),
  dinov2('s', true, 'f433177089a681826f849f194ece3bb48f4d63fb38d32fc837e3dc7a4e5641fb'),
  dinov2('l', true, '36e4deffbaef061a2576705b0c36f93621e2ae20bf6274694821b0b492551b51', 1_217_607_321),
  dinov2('g', true, '746ecb8c6301c645c5c855be91687d274587d6e48fdaec4a729753160b34a283', 4_546_140_349),
  dinov2('b', false, '0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73', 346_378_731),
  dinov2('s', false, 'b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9', 88_283_115),
  dinov2('l', false, 'd5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428', 1_217_586_395),
  dinov2('g', false, 'baf8467e50af277596bbbafa06887c177ee899ab46033649c383577d7e9309d3', 4_546_108_579),
  dino('b', 8),
  dino('b', 16),
  dino('s', 8),
  dino('s', 16),
  sam('b', '01ec64', 'ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912', 375_042_383),
  sam('l', '0b3195', '3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622', 1_249_524_607),
  sam('h', '4b8939', 'a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e', 2_564_550_879),
];

export const spatialFiles: readonly RegisteredWeights[] = officialFiles.map(
  ({ name, family, path, about, licence, sha256, bytes }) => ({
    name,
    kind: 'spatial',
    family,
    url: `${host}/${path}`,
    file: path.slice(path.lastIndexOf('/') + 1),
    sha256: sha256 ?? null,
    bytes: bytes ?? null,
    about,
    licence,
    trainedOn: null,
  }),
);
