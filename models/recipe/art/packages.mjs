/**
 * The art that scenes are drawn with: npm packages with their exact versions, licences and credits.
 *
 * A style is what a model may or may not generalise across, so packages are kept apart by use:
 * `train` is trained on; `valid` only steers choices; `test` gives the figures and steers nothing.
 */

/** @typedef {'train' | 'valid' | 'test'} Use */

/**
 * @typedef {object} Style
 * @property {string} id
 * @property {string} package
 * @property {string} version
 * @property {string} title
 * @property {string} author
 * @property {'Apache-2.0' | 'MIT' | 'CC-BY-4.0'} licence
 * @property {Use} use
 * @property {number} weight how often an artwork is taken from it, where several have the concept
 * @property {'names' | 'table' | 'codepoints'} icons how concepts name its icons: by Unicode's short
 *   names, by a list of their own (`more`), or as files named by code point
 */

/**
 * @param {string} id
 * @param {string} version
 * @param {string} title
 * @param {string} author
 * @param {Style['licence']} licence
 * @param {Style['icons']} icons
 * @param {number} weight
 * @param {Use} use
 * @returns {Style}
 */
const iconify = (id, version, title, author, licence, icons, weight, use = 'train') => ({
  id,
  package: `@iconify-json/${id}`,
  version,
  title,
  author,
  licence,
  icons,
  weight,
  use,
})

/** @type {readonly Style[]} */
export const STYLES = [
  iconify('noto', '1.2.9', 'Noto Emoji', 'Google Inc', 'Apache-2.0', 'names', 1),
  iconify('noto-v1', '1.2.5', 'Noto Emoji (v1)', 'Google Inc', 'Apache-2.0', 'names', 1),
  iconify(
    'fluent-emoji-flat',
    '1.2.6',
    'Fluent Emoji Flat',
    'Microsoft Corporation',
    'MIT',
    'names',
    1,
  ),
  iconify('fluent-emoji', '1.2.7', 'Fluent Emoji', 'Microsoft Corporation', 'MIT', 'names', 0.5),
  {
    id: 'fluent-emoji-3d',
    package: '@lobehub/fluent-emoji-3d',
    version: '1.1.0',
    title: 'Fluent Emoji 3D',
    author: 'Microsoft Corporation; packaged by LobeHub',
    licence: 'MIT',
    icons: 'codepoints',
    weight: 0.5,
    use: 'train',
  },
  iconify('fxemoji', '1.2.2', 'Firefox OS Emoji', 'Mozilla', 'Apache-2.0', 'table', 1),
  iconify('streamline-emojis', '1.2.4', 'Streamline Emojis', 'Streamline', 'CC-BY-4.0', 'table', 1),
  iconify('icon-park', '1.2.4', 'IconPark', 'ByteDance', 'Apache-2.0', 'table', 0.25),
  iconify(
    'streamline-ultimate-color',
    '1.2.2',
    'Ultimate color icons',
    'Streamline',
    'CC-BY-4.0',
    'table',
    0.5,
  ),
  iconify(
    'streamline-plump-color',
    '1.2.2',
    'Plump color icons',
    'Streamline',
    'CC-BY-4.0',
    'table',
    0.15,
  ),
  iconify(
    'streamline-color',
    '1.2.2',
    'Streamline color',
    'Streamline',
    'CC-BY-4.0',
    'table',
    0.15,
  ),
  iconify(
    'streamline-flex-color',
    '1.2.2',
    'Flex color icons',
    'Streamline',
    'CC-BY-4.0',
    'table',
    0.15,
  ),
  iconify(
    'streamline-sharp-color',
    '1.2.2',
    'Sharp color icons',
    'Streamline',
    'CC-BY-4.0',
    'table',
    0.15,
  ),
  iconify(
    'streamline-cyber-color',
    '1.2.2',
    'Cyber color icons',
    'Streamline',
    'CC-BY-4.0',
    'table',
    0.2,
  ),
  iconify(
    'streamline-freehand-color',
    '1.2.2',
    'Freehand color icons',
    'Streamline',
    'CC-BY-4.0',
    'table',
    0.15,
  ),
  iconify(
    'streamline-stickies-color',
    '1.2.2',
    'Stickies color icons',
    'Streamline',
    'CC-BY-4.0',
    'table',
    0.25,
  ),
  iconify('flat-color-icons', '1.2.3', 'Flat Color Icons', 'Icons8', 'MIT', 'table', 0.4),
  iconify('flat-ui', '1.2.3', 'Flat UI Icons', 'Designmodo, Inc.', 'MIT', 'table', 0.4),
  iconify(
    'fluent-color',
    '1.2.21',
    'Fluent UI System Color Icons',
    'Microsoft Corporation',
    'MIT',
    'table',
    0.3,
  ),
  iconify('meteocons', '1.2.4', 'Meteocons', 'Bas Milius', 'MIT', 'table', 0.3),
  iconify(
    'emojione',
    '1.2.3',
    'Emoji One 2.3 (Colored)',
    'Emoji One',
    'CC-BY-4.0',
    'names',
    1,
    'valid',
  ),
  iconify(
    'twemoji',
    '1.2.5',
    'Twitter Emoji (Twemoji)',
    'Twitter, Inc and other contributors',
    'CC-BY-4.0',
    'names',
    1,
    'test',
  ),
]
