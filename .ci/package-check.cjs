'use strict';
const { Crane, train } = require('crane-tfjs');
const { GaussianFilter } = require('crane-tfjs/layers');

/** A grey picture of 64 x 64: the score is not looked at, only that the embedded model runs from the package. */
async function main() {
  if (typeof Crane?.load !== 'function') throw new Error('require gives no Crane with load()');
  const sharp = require('sharp');
  const picture = await sharp({ create: { width: 64, height: 64, channels: 3, background: '#808080' } })
    .png()
    .toBuffer();
  require('node:fs').writeFileSync('image.png', picture);
  const crane = await Crane.load();
  const { score, map } = await crane.detect(picture);
  crane.dispose();
  if (!(score >= 0 && score <= 1)) throw new Error(`the score is ${score}`);
  if (map.width !== 64 || map.height !== 64) throw new Error(`the map is ${map.width} x ${map.height}`);
  console.log(`require: detected, score ${score.toFixed(3)}`);
  // That training is in the package and is loaded when it is called: it says that there is no such set.
  const refused = await train({ auxiliary: 'no-such-set' }).result.catch((error) => error);
  if (refused.code !== 'dataset/folder-missing') throw new Error(`train gives ${refused}`);
  console.log('require: train refuses a set that is not there');
}

// The layers' TensorFlow.js is the program's own, without which no model could be made of them.
const { sequential } = require('@tensorflow/tfjs');
const smooth = sequential({ layers: [new GaussianFilter({ sigma: 1, inputShape: [8, 8] })] });
if (String(smooth.outputShape) !== ',8,8') throw new Error(`a layer gives [${smooth.outputShape}]`);
console.log('require: a model of a layer');

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
