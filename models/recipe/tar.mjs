/** Tar archives of small files (POSIX ustar), without owner or time: equal files give equal bytes. */

const BLOCK = 512

/**
 * One file's header and padded content.
 *
 * @param {string} name ASCII, at most 100 characters
 * @param {Uint8Array} content
 * @returns {Buffer}
 */
export function tarEntry(name, content) {
  const out = Buffer.alloc(BLOCK * (1 + Math.ceil(content.length / BLOCK)))
  const octal = (value, digits) => value.toString(8).padStart(digits, '0')
  out.write(name, 0, 100, 'ascii')
  out.write(`${octal(0o644, 7)}\0${octal(0, 7)}\0${octal(0, 7)}\0`, 100, 'ascii')
  out.write(`${octal(content.length, 11)}\0${octal(0, 11)}\0`, 124, 'ascii')
  out.write('        0', 148, 'ascii')
  out.write('ustar\x0000', 257, 'ascii')
  // The sum of the header's bytes with eight spaces in the sum's own place.
  const sum = out.subarray(0, BLOCK).reduce((total, byte) => total + byte, 0)
  out.write(`${octal(sum, 6)}\0 `, 148, 'ascii')
  out.set(content, BLOCK)
  return out
}

/** What ends an archive. */
export const TAR_END = Buffer.alloc(2 * BLOCK)
