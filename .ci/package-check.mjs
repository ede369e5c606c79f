import * as library from 'crane-tfjs';
import { createRequire } from 'node:module';

const required = createRequire(import.meta.url)('crane-tfjs');
if (typeof library.Crane?.load !== 'function') throw new Error('import gives no Crane with load()');
if (library.Crane !== required.Crane) throw new Error('import and require give two different Cranes');
const missing = Object.keys(required).filter((name) => !(name in library));
if (missing.length > 0) throw new Error(`import lacks ${missing.join(', ')}`);
console.log(`import: ${Object.keys(library).length} names`);
