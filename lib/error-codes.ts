/** Codes about images and masks, NPY files, and anomaly maps. */
export type ImageErrorCode =
  /** The image file is damaged, or a sharp pipeline failed. */
  | 'image/corrupt'
  /** The image could not be downloaded. */
  | 'image/download'
  /** The file or buffer holds 0 bytes. */
  | 'image/empty'
  /** What was given is no image in any form. */
  | 'image/input'
  /** The mask differs in size from its image. */
  | 'image/mask-shape'
  /** The mask holds a value that is neither normal nor anomalous, such as a negative number or NaN. */
  | 'image/mask-values'
  /** There is no file at this path. */
  | 'image/not-found'
  /** The image would have to be downloaded, but `offline` is set. */
  | 'image/offline'
  /** A mask of several pages. */
  | 'image/pages'
  /** A width or height that is not a positive integer. */
  | 'image/size'
  /** Raw pixels whose number does not fit width, height and channels. */
  | 'image/size-mismatch'
  /** A tensor that is not `[height, width, 3]`. */
  | 'image/tensor'
  /** More bytes than the limit. */
  | 'image/too-large'
  /** More pixels than the limit. */
  | 'image/too-many-pixels'
  /** The bytes are those of no image format that is read. */
  | 'image/unknown-format'
  /** The file cannot be opened, or is not a regular file. */
  | 'image/unreadable'
  /** The format is known, but not this variant of it. */
  | 'image/unsupported'
  /** A URL that is not asked: another scheme, or a host of a private network. */
  | 'image/url'
  /** The NPY file is damaged. */
  | 'npy/corrupt'
  /** There is no NPY file at this path. */
  | 'npy/not-found'
  /** An array whose length does not fit its shape. */
  | 'npy/shape'
  /** The NPY file cannot be opened. */
  | 'npy/unreadable'
  /** An NPY version or element type that is not read. */
  | 'npy/unsupported'
  /** The map was made without the one at the network's size. */
  | 'map/no-native'
  /** An overlay was asked for, but the map was made without its image. */
  | 'map/no-picture'
  /** The image is no longer of the size that was scored. */
  | 'map/picture-changed'
  /** Values of a map file that cannot be read without rounding. */
  | 'map/precision'
  /** Ends of a color scale that do not rise. */
  | 'map/scale'
  /** Values whose number does not fit width and height. */
  | 'map/shape'
  /** A width or height that is not a positive integer. */
  | 'map/size'
  /** A map file that is not a regular file. */
  | 'map/special'
  /** A file suffix that this form of a map cannot have. */
  | 'map/suffix'
  /** A mask was asked for without a threshold. */
  | 'map/threshold'
  /** The map could not be written. */
  | 'map/unwritable';

/** Codes about weights and prompts, their downloads, and text. */
export type WeightsErrorCode =
  /** Saved on a machine with the other byte order. */
  | 'weights/byte-order'
  /** The file in the cache folder is not the registered one. */
  | 'weights/cached-sha256'
  /** Values that do not match their checksum. */
  | 'weights/checksum'
  /** The file was closed before it was read. */
  | 'weights/closed'
  /** The configuration beside the weights is missing, damaged, or asks for something that is not supported. */
  | 'weights/config'
  /** Image context needs a text encoder as wide as the shared space. */
  | 'weights/context-width'
  /** Values of another type than was asked for. */
  | 'weights/dtype'
  /** The embedded model is missing from the package. */
  | 'weights/embedded-missing'
  /** The folder holds no weights. */
  | 'weights/empty-folder'
  /** The bytes are those of no weights format. */
  | 'weights/format'
  /** Nothing says how many attention heads a tower has, or what is said cannot be. */
  | 'weights/heads'
  /** More tensors, bytes or nested values than the limit. */
  | 'weights/limit'
  /** A tensor is missing. */
  | 'weights/missing'
  /** A tensor name that cannot be stored. */
  | 'weights/name'
  /** The file holds no CLIP vision transformer. */
  | 'weights/not-clip'
  /** The file holds no DINO or DINOv2 encoder. */
  | 'weights/not-dino'
  /** A score or map holds NaN or infinite values. */
  | 'weights/not-finite'
  /** There is no such weights file or folder. */
  | 'weights/not-found'
  /** The file holds no trained prompts. */
  | 'weights/not-prompts'
  /** The file holds no image encoder of Segment Anything. */
  | 'weights/not-sam'
  /** The file could not be written. */
  | 'weights/not-written'
  /** The weights are not cached, and the network is not to be used. */
  | 'weights/offline'
  /** A prompt longer than the text encoder takes. */
  | 'weights/prompt-length'
  /** The prompts reach deeper than the text encoder has blocks. */
  | 'weights/prompts-depth'
  /** The prompts were trained with another activation or other heads. */
  | 'weights/prompts-network'
  /** The prompts were trained on images prepared in another way. */
  | 'weights/prompts-preprocessing'
  /** The prompts are wider or narrower than the text encoder. */
  | 'weights/prompts-width'
  /** A value that the wanted type cannot hold. */
  | 'weights/range'
  /** The file holds several networks. */
  | 'weights/several'
  /** A tensor of another shape than the network needs. */
  | 'weights/shape'
  /** Shapes from which no network can be built. */
  | 'weights/sizes'
  /** Tensors that the network does not have. */
  | 'weights/surplus'
  /** A word whose token has no row in the token table. */
  | 'weights/token-missing'
  /** The file ends too early. */
  | 'weights/truncated'
  /** The file cannot be opened. */
  | 'weights/unreadable'
  /** An archive whose entries would leave their folder, overlap or unpack to more than they say. */
  | 'weights/unsafe'
  /** A pickle that asks for more than stored tensors. */
  | 'weights/unsafe-pickle'
  /** The download was stopped. */
  | 'download/aborted'
  /** Too little room for the download. */
  | 'download/disk-full'
  /** The download failed after its retries. */
  | 'download/failed'
  /** More bytes came than were expected. */
  | 'download/length'
  /** The URL is not asked: another scheme, a redirect, or a host of a private network. */
  | 'download/refused'
  /** The bytes that came are not those that are registered. */
  | 'download/sha256'
  /** The bytes come too slowly. */
  | 'download/slow'
  /** The download could not be written. */
  | 'download/write'
  /** Stopped while waiting for another process. */
  | 'lock/aborted'
  /** The lock file could not be made. */
  | 'lock/failed'
  /** A context length that is not an integer of 2 or more. */
  | 'text/context-length'
  /** A text of more tokens than the context holds. */
  | 'text/too-long'
  /** A token id without a token. */
  | 'text/unknown-token'
  /** The tokenizer's files are damaged. */
  | 'vocabulary/invalid'
  /** The folder holds no tokenizer. */
  | 'vocabulary/missing'
  /** The tokenizer's files cannot be opened. */
  | 'vocabulary/unreadable';

/** Codes about TensorFlow.js backends. */
export type BackendErrorCode =
  /** The GPU reported an error. */
  | 'backend/device'
  /** The backend's numbers are wrong. */
  | 'backend/self-check'
  /** A tensor larger than the GPU takes. */
  | 'backend/tensor-too-large'
  /** The backend cannot be used here. */
  | 'backend/unavailable'
  /** There is no backend of this name. */
  | 'backend/unknown';

/** Codes about data sets. */
export type DatasetErrorCode =
  /** The registered set is not on this machine. */
  | 'dataset/absent'
  /** The archive is not the registered one, or cannot be read. */
  | 'dataset/archive'
  /** The archive would write outside of its folder, or more than it says. */
  | 'dataset/archive-unsafe'
  /** Files made from the set cannot be kept. */
  | 'dataset/cache'
  /** The set has no category of this name. */
  | 'dataset/category'
  /** Too little room for the archive and what is in it. */
  | 'dataset/disk-full'
  /** There is no such folder. */
  | 'dataset/folder-missing'
  /** Images without masks, masks without images, or missing files. */
  | 'dataset/incomplete'
  /** The folder is in no known layout. */
  | 'dataset/layout'
  /** The licence has to be accepted first. */
  | 'dataset/license'
  /** A list of images that cannot be read. */
  | 'dataset/list'
  /** Masks of one image that differ in size. */
  | 'dataset/mask-size'
  /** A `meta.json` that cannot be read. */
  | 'dataset/meta-json'
  /** The set has to be fetched by hand. */
  | 'dataset/not-fetchable'
  /** There is no layout of this name. */
  | 'dataset/unknown-layout'
  /** Nothing says which images are anomalous. */
  | 'dataset/unlabelled'
  /** The archive could not be unpacked. */
  | 'dataset/unpack'
  /** No image of the set could be read. */
  | 'dataset/unreadable'
  /** There is no kind of defect of this name. */
  | 'synthetic/defect'
  /** There is no family of objects of this name. */
  | 'synthetic/family'
  /** Synthetic images cannot have this width. */
  | 'synthetic/image-size'
  /** There is no synthetic set of this name. */
  | 'synthetic/name'
  /** A defect that changes no pixel. */
  | 'synthetic/no-trace'
  /** Numbers of images that are not integers from 0 to 1000. */
  | 'synthetic/per-category'
  /** A size of synthetic images that is not an integer in range. */
  | 'synthetic/size'
  /** The set could not be written. */
  | 'synthetic/write';

/** Codes about training. */
export type TrainingErrorCode =
  /** An auxiliary set is named twice. */
  | 'training/auxiliary-twice'
  /** Another run is at work in the folder. */
  | 'training/busy'
  /** Cached features can no longer be read. */
  | 'training/cache-damaged'
  /** The features take more than the cache may hold. */
  | 'training/cache-limit'
  /** The features take more than the disk has left. */
  | 'training/cache-space'
  /** The cache folder cannot be written. */
  | 'training/cache-unwritable'
  /** No auxiliary set has this category. */
  | 'training/category'
  /** Options, images or weights have changed since the run began. */
  | 'training/changed'
  /** Image context needs a text encoder as wide as the shared space. */
  | 'training/context-width'
  /** The gradient is NaN or infinite. */
  | 'training/diverged'
  /** A set without test images. */
  | 'training/empty'
  /** Features that are NaN or infinite. */
  | 'training/features'
  /** The folder holds a finished run. */
  | 'training/finished'
  /** The model was built with frozen prompts. */
  | 'training/frozen'
  /** Gradients that do not match the variables. */
  | 'training/gradients'
  /** The log of a run is shorter than its state says. */
  | 'training/log'
  /** Masks of another size than the maps. */
  | 'training/mask-size'
  /** The features take more than the machine's memory. */
  | 'training/memory'
  /** The method learns nothing. */
  | 'training/method'
  /** No image is anomalous. */
  | 'training/no-anomalous'
  /** No auxiliary set is named. */
  | 'training/no-auxiliary'
  /** Pixel losses need masks, and a set has none. */
  | 'training/no-masks'
  /** The folder holds no run to resume. */
  | 'training/no-run'
  /** The chosen share of the images is empty. */
  | 'training/nothing-chosen'
  /** A place beyond the set's images. */
  | 'training/place'
  /** Features too large for float16. */
  | 'training/precision'
  /** The prompts to start from have other sizes than were asked for. */
  | 'training/prompt-sizes'
  /** Prompts that cannot be trained. */
  | 'training/prompts'
  /** A file of the run cannot be read. */
  | 'training/run-file'
  /** The state of the run is damaged, or of another network. */
  | 'training/state'
  /** `resume` and `out` name two folders. */
  | 'training/two-folders'
  /** The folder holds a run that stopped before its end. */
  | 'training/unfinished'
  /** More than 1 % of the images cannot be read. */
  | 'training/unreadable'
  /** A file of the run could not be written. */
  | 'training/unwritable';

/** Codes about options and how the library is called. */
export type UsageErrorCode =
  /** There is no activation of this name. */
  | 'usage/activation'
  /** A batch size that is not an integer of 1 or more. */
  | 'usage/batch-size'
  /** Text that is no number of bytes. */
  | 'usage/bytes'
  /** A checkpoint or prompts that the method does not take, or both at once. */
  | 'usage/checkpoint'
  /** The `Crane` was disposed. */
  | 'usage/disposed'
  /** More E-Attn blocks than the backbone has. */
  | 'usage/eattn-blocks'
  /** Places of end tokens that are not within the prompts. */
  | 'usage/end-position'
  /** A folder without images. */
  | 'usage/empty-folder'
  /** The image size is not a multiple of the patch size, or not what an encoder takes. */
  | 'usage/image-size'
  /** A layer's input of a shape that it cannot take. */
  | 'usage/layer-input'
  /** Layers that the backbone does not have. */
  | 'usage/layers'
  /** No method has this name. */
  | 'usage/method'
  /** There is no such folder. */
  | 'usage/no-folder'
  /** No prompts are known for the backbone. */
  | 'usage/no-prompts'
  /** There is no such weights file, and no weights of this name. */
  | 'usage/no-weights'
  /** An unknown option, or a value that it cannot have. */
  | 'usage/options'
  /** Prompt options that do not fit the text encoder. */
  | 'usage/prompts'
  /** The text encoder was released, so prompts can no longer be encoded. */
  | 'usage/prompts-fixed'
  /** A standard deviation below 0, NaN or infinite. */
  | 'usage/sigma'
  /** There is no second vision model of this kind. */
  | 'usage/spatial'
  /** Layers without a spatial path. */
  | 'usage/spatial-layers'
  /** The second vision model that the prompts were trained with is missing. */
  | 'usage/spatial-missing'
  /** D-Attn alone was asked for without a second vision model. */
  | 'usage/spatial-only'
  /** The stream is no longer read. */
  | 'usage/stream-left'
  /** A temperature that is not a finite number above 0. */
  | 'usage/temperature'
  /** A folder that cannot be read. */
  | 'usage/unreadable-folder'
  /** There are no weights of this name. */
  | 'usage/weights-name'
  /** Windows larger than the patch grid. */
  | 'usage/windows';

/** Codes of the program `crane` and of evaluation, which calls of the library never throw. */
export type CommandErrorCode =
  | 'backend/bench'
  | 'cli/interrupted'
  | 'dataset/no-fake'
  | 'dataset/no-format'
  | 'dataset/unknown-name'
  | 'eval/auxiliary'
  | 'metric/label'
  | 'metric/map-size'
  | 'metric/mask-size'
  | 'metric/mask-value'
  | 'metric/no-score'
  | 'metric/not-finite'
  | 'results/unwritable'
  | 'synthetic/occupied'
  | 'synthetic/options'
  | 'training/drawing'
  | 'training/recipe'
  | 'usage/arguments'
  | 'usage/backbone'
  | 'usage/betas'
  | 'usage/command'
  | 'usage/config'
  | 'usage/dash'
  | 'usage/datasets'
  | 'usage/dtype'
  | 'usage/empty-path'
  | 'usage/exists'
  | 'usage/heads'
  | 'usage/ignore-value'
  | 'usage/job'
  | 'usage/maps'
  | 'usage/matrix'
  | 'usage/no-file'
  | 'usage/no-mask'
  | 'usage/number'
  | 'usage/out'
  | 'usage/output'
  | 'usage/overwrite'
  | 'usage/pairing'
  | 'usage/picture'
  | 'usage/recipe'
  | 'usage/repeated'
  | 'usage/same-file'
  | 'usage/save'
  | 'usage/scores'
  | 'usage/space'
  | 'usage/strengths'
  | 'usage/suffix'
  | 'usage/threshold'
  | 'usage/value'
  | 'usage/watch'
  | 'weights/vocabulary';

/**
 * Every code of an error that the library throws on purpose, `area/kind`. The area says what the error is about, its class who
 * can mend it; a code is stable, its message may change.
 */
export type CraneErrorCode =
  | BackendErrorCode
  | CommandErrorCode
  | DatasetErrorCode
  | ImageErrorCode
  | TrainingErrorCode
  | UsageErrorCode
  | WeightsErrorCode;
