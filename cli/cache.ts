import * as path from 'node:path';
import type { CommandModule } from 'yargs';
import { clearFeatureCache, featureFolder, featureSpaces } from '../train/feature-cache/contents';
import { print, printJson } from '../terminal/output';
import { formatBytes, formatTable } from '../terminal/table';

interface CacheArguments {
  readonly json: boolean;
}

const json = {
  type: 'boolean',
  default: false,
  describe: 'One JSON value on standard output instead of text',
} as const;

const showCommand: CommandModule<object, CacheArguments> = {
  command: ['show', '$0'],
  describe: 'Where the features of trainings are kept, and how much they take',
  builder: { json },
  handler: (args) => {
    const folder = featureFolder();
    const spaces = featureSpaces(folder).map(({ used, ...space }) => ({
      ...space,
      used: new Date(used).toISOString(),
    }));
    const bytes = spaces.reduce((sum, space) => sum + space.bytes, 0);
    if (args.json) return printJson({ folder, bytes, spaces });
    print(`${folder}: ${formatBytes(bytes)} of features of images, kept for the next training on them`);
    if (spaces.length === 0) return;
    const rows = spaces.map((space) => [
      path.basename(space.folder).slice(0, 8),
      ...encoderOf(space.description),
      formatBytes(space.bytes),
      space.used.slice(0, 16).replace('T', ' '),
    ]);
    const columns = ['folder', 'backbone', 'image size', 'guide', 'size', 'last used (UTC)'];
    print(
      `\n${formatTable(
        columns.map((title) => ({ title, align: title.endsWith('size') ? 'right' : 'left' })),
        rows,
      )}`,
    );
    print('\nWhat is not used for longest goes first where --cache-size is reached; `crane cache clear` removes all.');
  },
};

const clearCommand: CommandModule<object, CacheArguments> = {
  command: 'clear',
  describe: 'Remove them; those that a running training uses stay',
  builder: { json },
  handler: async (args) => {
    const { removed, kept } = await clearFeatureCache();
    if (args.json) return printJson({ removed, kept });
    print(
      `${formatBytes(removed)} removed${kept > 0 ? `; ${formatBytes(kept)} stay, since a training uses them` : ''}`,
    );
  },
};

/** `crane cache show|clear`: features of images that were kept by trainings. */
export const cacheCommand: CommandModule = {
  command: 'cache',
  describe: 'Show or clear the features of images that trainings keep',
  builder: (yargs) => yargs.command(showCommand).command(clearCommand),
  handler: () => undefined,
};

/** Backbone, image size and second vision model of a space. */
function encoderOf(description: Readonly<Record<string, unknown>> | null): string[] {
  const { backbone = '?', options = {} } = (description ?? {}) as {
    backbone?: string;
    options?: { imageSize?: number; spatial?: string };
  };
  return [`sha256 ${backbone.slice(0, 8)}`, String(options.imageSize ?? '?'), options.spatial ?? '?'];
}
