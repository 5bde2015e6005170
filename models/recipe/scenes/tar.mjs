/** Entries of tar archives without owner or time: equal files give equal bytes. */
import { Header } from 'tar'

const BLOCK = 512

/**
 * One file's header and padded content.
 *
 * @param {string} path ASCII, at most 100 characters
 * @param {Uint8Array} content
 * @returns {Buffer}
 */
export function tarEntry(path, content) {
  const out = Buffer.alloc(BLOCK * (1 + Math.ceil(content.length / BLOCK)))
  const { length: size } = content
  new Header({ path, size, mode: 0o644, uid: 0, gid: 0, mtime: new Date(0), type: 'File' }).encode(
    out,
  )
  out.set(content, BLOCK)
  return out
}

/** What ends an archive. */
export const TAR_END = Buffer.alloc(2 * BLOCK)
