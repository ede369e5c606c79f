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
  describe: 'Where training keeps image features, and how much space they take',
  builder: { json },
  handler: (args) => {
    const folder = featureFolder();
    const spaces = featureSpaces(folder).map(({ used, ...space }) => ({
      ...space,
      used: new Date(used).toISOString(),
    }));
    const bytes = spaces.reduce((sum, space) => sum + space.bytes, 0);
    if (args.json) return printJson({ folder, bytes, spaces });
    print(`${folder}: ${formatBytes(bytes)} of image features, kept for the next training run`);
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
    print(
      '\nWhen --cache-size is reached, the least recently used features are removed first; `crane cache clear` removes all.',
    );
  },
};

const clearCommand: CommandModule<object, CacheArguments> = {
  command: 'clear',
  describe: 'Remove them, except those in use by a running training',
  builder: { json },
  handler: async (args) => {
    const { removed, kept } = await clearFeatureCache();
    if (args.json) return printJson({ removed, kept });
    print(
      `${formatBytes(removed)} removed${kept > 0 ? `; ${formatBytes(kept)} kept, since a training run uses them` : ''}`,
    );
  },
};

/** `crane cache show|clear`: image features kept by training runs. */
export const cacheCommand: CommandModule = {
  command: 'cache',
  describe: 'Show or clear the image features that training keeps',
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
