/** Writes small TIFF files, for the decoder and its refusals. */

/** Values of a tag by their type: 3 for 16 bits, 4 for 32 bits, 5 for a fraction of two numbers. */
export interface TiffTags {
  readonly [tag: number]: { readonly type: 3 | 4 | 5; readonly values: readonly number[] }
}

/** One uncompressed strip of samples with the tags given, those below left out where they are. */
export function tiff(
  { width, height, channels }: { width: number; height: number; channels: number },
  samples: Uint8Array,
  tags: TiffTags = {},
): Buffer {
  const short = (...values: number[]) => ({ type: 3 as const, values })
  const long = (...values: number[]) => ({ type: 4 as const, values })
  const bits = (samples.length / (width * height * channels)) * 8
  const all: TiffTags = {
    256: long(width),
    257: long(height),
    258: short(...Array<number>(channels).fill(bits)),
    259: short(1),
    262: short(channels === 1 ? 1 : 2),
    273: long(8),
    277: short(channels),
    278: long(height),
    279: long(samples.length),
    ...tags,
  }
  const names = Object.keys(all).map(Number)
  const start = 8 + samples.length
  let end = start + 2 + 12 * names.length + 4
  const outside: Buffer[] = []
  const entries = names.map(tag => {
    const { type, values } = all[tag] as TiffTags[number]
    const size = type === 3 ? 2 : 4
    const data = Buffer.alloc(Math.max(4, values.length * size))
    values.forEach((value, i) => {
      data.writeUIntLE(value, i * size, size)
    })
    const entry = Buffer.alloc(12)
    entry.writeUInt16LE(tag, 0)
    entry.writeUInt16LE(type, 2)
    entry.writeUInt32LE(type === 5 ? values.length / 2 : values.length, 4)
    if (data.length === 4) data.copy(entry, 8)
    else {
      entry.writeUInt32LE(end, 8)
      end += data.length
      outside.push(data)
    }
    return entry
  })
  const header = Buffer.from('II*\0\0\0\0\0', 'latin1')
  header.writeUInt32LE(start, 4)
  const count = Buffer.alloc(2)
  count.writeUInt16LE(entries.length)
  return Buffer.concat([header, samples, count, ...entries, Buffer.alloc(4), ...outside])
}
