import { pathInSet } from '../../datasets/path-in-set';
import type { ScoredImage } from '../evaluation';
import { percent } from '../metrics-table';
import { breakable, html, type Html } from './html';
import type { Thumbnails } from '../gallery/pictures';
import {
  imageThreshold,
  PICTURE_KINDS,
  type CategorySelection,
  type PictureKind,
  type Selection,
} from '../gallery/selection';

const TITLES: Readonly<Record<PictureKind, { readonly title: string; readonly meaning: string }>> = {
  found: { title: 'Found', meaning: 'anomalous, highest scores' },
  missed: { title: 'Nearest to missed', meaning: 'anomalous, lowest scores' },
  alarm: { title: 'Nearest to false alarm', meaning: 'normal, highest scores' },
};

export interface GalleryContent {
  readonly selection: Selection;
  readonly thumbnails: ReadonlyMap<string, Thumbnails>;
  readonly colourBar: string;
  /** Folder that paths are shown from. */
  readonly root: string;
  /** Start of the ids, of its own for each set on a page. Default none. */
  readonly scope?: string;
}

/** Address of a category's pictures; undefined where it has none. */
export function categoryAnchor({ categories }: Selection, name: string, scope = ''): string | undefined {
  const index = categories.findIndex(({ category }) => category.name === name);
  return index < 0 ? undefined : `#${scope}pictures-${index}`;
}

/** For each category what was found best, what was nearly or really missed, and what nearly or really was a false alarm. */
export function gallery(content: GalleryContent): Html {
  const { selection, colourBar } = content;
  return html`<div class="legend"><span class="scale"><span>0</span><img src="${colourBar}" width="256" height="8" alt="Colours from dark blue over green to dark red"/><span>1</span></span>
<span>anomaly map over the image, the same scale on every picture</span><span><i class="contour"></i>true mask</span></div>
${selection.leftOut > 0 && html`<p class="note">Shown are the ${selection.categories.length} categories with the lowest image AUROC; ${selection.leftOut} more have no pictures here.</p>`}
${selection.categories.map((category, index) => categoryPictures(category, index, content))}`;
}

/** One overlay of each of the first categories, for the head of the page. */
export function mosaic({ selection, thumbnails }: GalleryContent, count: number): Html {
  const best = selection.categories.flatMap(({ category, images }, index) => {
    const pictures = images.found[0] && thumbnails.get(images.found[0].path);
    return pictures ? [{ name: category.name, image: images.found[0] as ScoredImage, index, pictures }] : [];
  });
  if (best.length === 0) return html``;
  return html`<div class="mosaic">${best
    .slice(0, count)
    .map(
      ({ name, image, index, pictures: { overlay } }) =>
        html`<a href="#pictures-${index}"><img src="${overlay}" width="144" height="144" alt="Anomaly map over ${name}, ${image.defect}"/><span>${name}</span></a>`,
    )}</div>`;
}

function categoryPictures(selected: CategorySelection, index: number, content: GalleryContent): Html {
  const { category, images } = selected;
  const threshold = imageThreshold(category);
  const { metrics } = category;
  return html`
<section class="category" id="${content.scope ?? ''}pictures-${index}"><h3>${category.name} <small>image AUROC ${percent(metrics['image/auroc'])} · pixel AUROC ${percent(metrics['pixel/auroc'])} · AUPRO ${percent(metrics['pixel/aupro/paper200@0.3'])}</small></h3>
<div class="kinds">${PICTURE_KINDS.map(
    (kind) => html`
<div class="kind"><h4>${TITLES[kind].title} <small>${TITLES[kind].meaning}</small></h4>${
      images[kind].length === 0
        ? html`<p class="empty">no such image</p>`
        : images[kind].map((image) => picture(image, kind, category.name, threshold, content))
    }</div>`,
  )}</div></section>`;
}

function picture(
  image: ScoredImage,
  kind: PictureKind,
  category: string,
  threshold: number | null,
  { thumbnails, root }: GalleryContent,
): Html {
  const { defect, score } = image;
  const file = pathInSet(root, image.path);
  const small = thumbnails.get(image.path);
  const outline = image.maskPath === null ? '' : ', true mask outlined in white';
  const pictures = small
    ? html`<div class="pair"><img src="${small.original}" width="${small.width}" height="${small.height}" decoding="async" alt="${category}, ${defect}: the image"/><img src="${
        small.overlay
      }" width="${small.width}" height="${small.height}" decoding="async" alt="${category}, ${defect}: anomaly map over the image${outline}"/></div>`
    : html`<p class="empty">The image could not be read again.</p>`;
  return html`
<figure class="picture">${pictures}<figcaption><b>${defect}</b> ${mark(kind, score, threshold)}<span class="score">score ${score.toFixed(3)}</span><small>${breakable(file)}</small></figcaption></figure>`;
}

/** Whether the category's own best threshold gets this image wrong. */
function mark(kind: PictureKind, score: number, threshold: number | null): Html | null {
  if (threshold === null) return null;
  if (kind === 'alarm') return score >= threshold ? html`<span class="wrong">false alarm</span> ` : null;
  return score < threshold ? html`<span class="wrong">missed</span> ` : null;
}
