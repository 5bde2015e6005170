/** Says what a file is by its first bytes, to decode it or to refuse it by name. */

/** Formats that are decoded. @internal */
export type PictureFormat = 'jpeg' | 'png' | 'webp' | 'avif' | 'tiff' | 'gif'

/** The same for messages. @internal */
export const READ_FORMATS = 'JPEG, PNG, WebP, AVIF, TIFF and GIF'

/** Endings of their files. @internal */
export const PICTURE_ENDING =
  /\.(jpe?g|jpe|jfif|jif|jfi|pjpe?g|pjp|png|apng|webp|avif|avifs|tiff?|gif)$/i

/** What is looked at, in bytes. */
const HEAD = 1024

/** First bytes as Latin-1, for {@link READABLE} and {@link FOREIGN}. */
type Start = string | RegExp | ((head: string) => boolean)

const READABLE: readonly (readonly [PictureFormat, Start])[] = [
  ['jpeg', head => head.startsWith('\xff\xd8\xff') && head[3] !== '\xf7'],
  ['png', '\x89PNG\r\n\x1a\n'],
  ['webp', /^RIFF.{4}WEBP/s],
  ['gif', /^GIF8[79]a/],
  ['tiff', 'II*\0'],
  ['tiff', 'MM\0*'],
  ['tiff', 'II+\0'],
  ['tiff', 'MM\0+'],
  ['avif', head => brandsOf(head).some(brand => brand === 'avif' || brand === 'avis')],
]

const RENDER = 'render it to a PNG first'
const UNPACK = 'unpack it first'
const DEVELOP = 'develop it to a TIFF or JPEG first'
const FRAME = 'take a frame out of it first'
const CHECK = 'check where the file comes from'

/** What is not decoded, and what to do about it where that is not to convert it. */
const FOREIGN: readonly (readonly [name: string, start: Start, remedy?: string])[] = [
  ['a BMP picture', head => head.startsWith('BM') && head.startsWith('\0\0\0\0', 6)],
  ['a JPEG-LS picture', '\xff\xd8\xff\xf7'],
  ['a JPEG XL picture', '\xff\x0a'],
  ['a JPEG XL picture', '\0\0\0\x0cJXL \r\n\x87\n'],
  ['a JPEG 2000 picture', '\0\0\0\x0cjP  \r\n\x87\n'],
  ['a JPEG 2000 picture', '\xff\x4f\xff\x51'],
  ['a JPEG XR picture', 'II\xbc'],
  ['a PBM, PGM or PPM picture', /^P[1-6][\s#]/],
  ['a PAM picture', /^P7\s/],
  ['a PFM picture', /^P[Ff]\s/],
  // The number of its pictures follows; a TGA of kind 1 or 2 has zeros or a palette there.
  ['an icon file (ICO)', head => head.startsWith('\0\0\x01\0') && head[4] !== '\0'],
  ['a cursor file (CUR)', head => head.startsWith('\0\0\x02\0') && head[4] !== '\0'],
  ['an icon file (ICNS)', 'icns'],
  ['a Photoshop document', '8BPS'],
  ['a GIMP document', 'gimp xcf'],
  ['an OpenEXR picture', 'v/1\x01'],
  ['a Radiance HDR picture', /^#\?(RADIANCE|RGBE)/],
  ['a QOI picture', 'qoif'],
  ['a DDS texture', 'DDS '],
  ['an SGI picture', '\x01\xda'],
  ['a PCX picture', head => head.startsWith('\x0a') && head[2] === '\x01'],
  ['an XBM picture', /^#define \w+_width/],
  ['an XPM picture', '/* XPM */'],
  ['a FITS file', 'SIMPLE  ='],
  ['a Windows metafile', '\xd7\xcd\xc6\x9a'],
  ['a DICOM file', head => head.startsWith('DICM', 128)],
  ['a PDF document', '%PDF-', RENDER],
  ['a PostScript document', '%!PS', RENDER],
  ['a web page', /^[^<]{0,64}<(!doctype html|html|head|body|meta|title|script)\b/i, CHECK],
  ['an SVG drawing, which has no pixels', /^[^<]{0,16}<.*<?svg[\s>]/is, RENDER],
  ['an XML document', /^[^<]{0,16}<\?xml/, CHECK],
  ['a Git LFS pointer, not the picture', 'version https://git-lfs', 'run `git lfs pull`'],
  [
    'the file that macOS keeps beside one (its name begins with "._")',
    '\0\x05\x16',
    'take the one without "._"',
  ],
  ['a gzip archive', '\x1f\x8b', UNPACK],
  ['a zip archive', 'PK\x03\x04', UNPACK],
  ['a bzip2 archive', /^BZh[1-9]/, UNPACK],
  ['an xz archive', '\xfd7zXZ\0', UNPACK],
  ['a Zstandard archive', '\x28\xb5\x2f\xfd', UNPACK],
  ['a 7-Zip archive', '7z\xbc\xaf\x27\x1c', UNPACK],
  ['a RAR archive', 'Rar!', UNPACK],
  ['a tar archive', head => head.startsWith('ustar', 257), UNPACK],
  ['a NumPy array', '\x93NUMPY', 'pass its values as raw pixels'],
  ['an HDF5 file', '\x89HDF\r\n', 'take the picture out of it'],
  ['a safetensors file', /^.{8}\{"/s, 'it holds tensors, not a picture'],
  ['a camera raw file', 'FUJIFILMCCD-RAW', DEVELOP],
  ['a camera raw file', 'FOVb', DEVELOP],
  ['a camera raw file', /^II(RO|RS|U\0)/, DEVELOP],
  ['a camera raw file', head => brandsOf(head).includes('crx '), DEVELOP],
  ['an AVI film', /^RIFF.{4}AVI /s, FRAME],
  ['a Matroska or WebM film', '\x1aE\xdf\xa3', FRAME],
  ['an HEIC picture', head => brandsOf(head).some(brand => /^(hei|hev|mi[fa]|msf)/.test(brand))],
  ['a film (MP4 or QuickTime)', /^.{4}(ftyp|moov|mdat|wide|free)/s, FRAME],
  ['JSON text', /^\s*[{[]\s*(["{[\d\]}]|true|false|null)/, CHECK],
  ['text in base64', /^(data:image\/|\/9j\/|iVBORw0KGgo|R0lGOD|UklGR)/, 'decode it to bytes first'],
]

/** The format of a file that is decoded. @internal */
export function pictureFormat(bytes: Uint8Array): PictureFormat | undefined {
  const head = latin1(bytes)
  return READABLE.find(([, start]) => begins(head, start))?.[0]
}

/** What a file is that is not decoded, and what to do about it. @internal */
export function foreignFormat(bytes: Uint8Array): string {
  const head = latin1(bytes)
  const [name, , remedy] = FOREIGN.find(([, start]) => begins(head, start)) ?? []
  if (name) return `it is ${name}; ${remedy ?? 'convert it to PNG or JPEG first'}`
  if (isTga(bytes)) return 'it is a TGA picture; convert it to PNG or JPEG first'
  const start = bytes.subarray(0, HEAD)
  if (start.every(byte => byte === 0)) return 'it holds zeros only; copy the file again'
  if (start.every(isPrintable)) return `it is text (${quote(head)}); ${CHECK}`
  const shown = Buffer.from(bytes.subarray(0, 8)).toString('hex')
  return `it is in no format that is known here (its first bytes: ${shown}); ${CHECK}, and pass raw pixels with their width and height`
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, HEAD)).toString(
    'latin1',
  )
}

function begins(head: string, start: Start): boolean {
  if (typeof start === 'string') return head.startsWith(start)
  return typeof start === 'function' ? start(head) : start.test(head)
}

/** Major and compatible brands of an ISO media file (ISO/IEC 14496-12, 4.3); none of another. */
function brandsOf(head: string): string[] {
  if (!head.startsWith('ftyp', 4)) return []
  const size = Math.min(Buffer.from(head.slice(0, 4), 'latin1').readUInt32BE(), HEAD)
  const list = head.slice(8, 12) + head.slice(16, size)
  return list.match(/.{4}/gs) ?? []
}

/** By its footer, else by a header in which every field is one in use. */
function isTga(bytes: Uint8Array): boolean {
  const end = Buffer.from(bytes.subarray(-18, -2)).toString('latin1')
  if (end === 'TRUEVISION-XFILE') return true
  const [, map = 255, kind = 0] = bytes
  const isKind = [1, 2, 3, 9, 10, 11].includes(kind)
  return map <= 1 && isKind && [8, 15, 16, 24, 32].includes(bytes[16] ?? 0)
}

/** ASCII that is seen, tabs and line ends. */
function isPrintable(byte: number): boolean {
  return (byte >= 32 && byte < 127) || byte === 9 || byte === 10 || byte === 13
}

/** The first line. */
function quote(text: string): string {
  const line = text.trim().split(/[\r\n]/, 1)[0] ?? ''
  return line.length > 40 ? `'${line.slice(0, 37)}...'` : `'${line}'`
}
