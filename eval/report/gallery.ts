import { pathInSet } from '../../datasets/path-in-set';
import type { ScoredImage } from '../evaluation';
import { percent } from '../metrics-table';
import { breakable, html, type Html } from './html';
import type { Thumbnails } from '../gallery/pictures';
import {
  imageThreshold,
  SHOWN_KINDS,
  type CategorySelection,
  type ShownKind,
  type Selection,
} from '../gallery/selection';

const TITLES: Readonly<Record<ShownKind, { readonly title: string; readonly meaning: string }>> = {
  found: { title: 'Found', meaning: 'anomalous, highest scores' },
  missed: { title: 'Closest to missed', meaning: 'anomalous, lowest scores' },
  alarm: { title: 'Closest to false alarm', meaning: 'normal, highest scores' },
};

export interface GalleryContent {
  readonly selection: Selection;
  readonly thumbnails: ReadonlyMap<string, Thumbnails>;
  readonly colourBar: string;
  /** Folder to which displayed paths are relative. */
  readonly root: string;
  /** Prefix of the ids, unique to each set on a page. Default none. */
  readonly scope?: string;
}

/** Link to a category's images; undefined where none are shown. */
export function categoryAnchor({ categories }: Selection, name: string, scope = ''): string | undefined {
  const index = categories.findIndex(({ category }) => category.name === name);
  return index < 0 ? undefined : `#${scope}images-${index}`;
}

/** For each category: the clearest finds, the closest to missed, and the closest to a false alarm. */
export function gallery(content: GalleryContent): Html {
  const { selection, colourBar } = content;
  return html`<div class="legend"><span class="scale"><span>0</span><img src="${colourBar}" width="256" height="8" alt="Colours from dark blue over green to dark red"/><span>1</span></span>
<span>anomaly map over the image, on the same scale everywhere</span><span><i class="contour"></i>true mask</span></div>
${selection.leftOut > 0 && html`<p class="note">Only the ${selection.categories.length} categories with the lowest image AUROC are shown; ${selection.leftOut} more are left out.</p>`}
${selection.categories.map((category, index) => categoryImages(category, index, content))}`;
}

/** One overlay from each of the first categories, for the top of the page. */
export function mosaic({ selection, thumbnails }: GalleryContent, count: number): Html {
  const best = selection.categories.flatMap(({ category, images }, index) => {
    const small = images.found[0] && thumbnails.get(images.found[0].path);
    return small ? [{ name: category.name, image: images.found[0] as ScoredImage, index, small }] : [];
  });
  if (best.length === 0) return html``;
  return html`<div class="mosaic">${best
    .slice(0, count)
    .map(
      ({ name, image, index, small: { overlay } }) =>
        html`<a href="#images-${index}"><img src="${overlay}" width="144" height="144" alt="Anomaly map over ${name}, ${image.defect}"/><span>${name}</span></a>`,
    )}</div>`;
}

function categoryImages(selected: CategorySelection, index: number, content: GalleryContent): Html {
  const { category, images } = selected;
  const threshold = imageThreshold(category);
  const { metrics } = category;
  return html`
<section class="category" id="${content.scope ?? ''}images-${index}"><h3>${category.name} <small>image AUROC ${percent(metrics['image/auroc'])} · pixel AUROC ${percent(metrics['pixel/auroc'])} · AUPRO ${percent(metrics['pixel/aupro/paper200@0.3'])}</small></h3>
<div class="kinds">${SHOWN_KINDS.map(
    (kind) => html`
<div class="kind"><h4>${TITLES[kind].title} <small>${TITLES[kind].meaning}</small></h4>${
      images[kind].length === 0
        ? html`<p class="empty">no such image</p>`
        : images[kind].map((image) => shownImage(image, kind, category.name, threshold, content))
    }</div>`,
  )}</div></section>`;
}

function shownImage(
  image: ScoredImage,
  kind: ShownKind,
  category: string,
  threshold: number | null,
  { thumbnails, root }: GalleryContent,
): Html {
  const { defect, score } = image;
  const file = pathInSet(root, image.path);
  const small = thumbnails.get(image.path);
  const outline = image.maskPath === null ? '' : ', true mask outlined in white';
  const pair = small
    ? html`<div class="pair"><img src="${small.original}" width="${small.width}" height="${small.height}" decoding="async" alt="${category}, ${defect}: the image"/><img src="${
        small.overlay
      }" width="${small.width}" height="${small.height}" decoding="async" alt="${category}, ${defect}: anomaly map over the image${outline}"/></div>`
    : html`<p class="empty">The image could not be read again.</p>`;
  return html`
<figure class="shown">${pair}<figcaption><b>${defect}</b> ${mark(kind, score, threshold)}<span class="score">score ${score.toFixed(3)}</span><small>${breakable(file)}</small></figcaption></figure>`;
}

/** Whether the category's own best threshold gets this image wrong. */
function mark(kind: ShownKind, score: number, threshold: number | null): Html | null {
  if (threshold === null) return null;
  if (kind === 'alarm') return score >= threshold ? html`<span class="wrong">false alarm</span> ` : null;
  return score < threshold ? html`<span class="wrong">missed</span> ` : null;
}
