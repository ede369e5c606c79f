'use strict';

/** Code, JSON and YAML; Markdown is wrapped by hand. */
module.exports = { printWidth: 120, singleQuote: true, objectWrap: 'collapse' };
