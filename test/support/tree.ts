import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import sharp from 'sharp'

/** Writes files, by their paths below a folder, and the folders that they need. */
export function writeTree(
  folder: string,
  files: Readonly<Record<string, Uint8Array | string | object>>,
): string {
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name)
    mkdirSync(dirname(path), { recursive: true })
    const isData = typeof content === 'string' || content instanceof Uint8Array
    writeFileSync(path, isData ? content : JSON.stringify(content))
  }
  return folder
}

/** A grey JPEG of a size. */
export const jpeg = (width: number, height: number): Promise<Buffer> =>
  sharp({ create: { width, height, channels: 3, background: '#808080' } })
    .jpeg()
    .toBuffer()
