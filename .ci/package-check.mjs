import * as library from 'crane-tfjs';
import * as layers from 'crane-tfjs/layers';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const required = require('crane-tfjs');
if (typeof library.Crane?.load !== 'function') throw new Error('import gives no Crane with load()');
if (library.Crane !== required.Crane) throw new Error('import and require give two different Cranes');
if (layers.CraneError !== library.CraneError) throw new Error('the two doors give two different errors');
for (const [door, imported] of [
  ['crane-tfjs', library],
  ['crane-tfjs/layers', layers],
]) {
  const missing = Object.keys(require(door)).filter((name) => !(name in imported));
  if (missing.length > 0) throw new Error(`import of ${door} lacks ${missing.join(', ')}`);
  console.log(`import: ${Object.keys(imported).length} names of ${door}`);
}
