'use strict';

/** Code, JSON and YAML; Markdown is wrapped by hand, and white space in HTML templates is part of the pages. */
module.exports = { printWidth: 120, singleQuote: true, objectWrap: 'collapse', embeddedLanguageFormatting: 'off' };
