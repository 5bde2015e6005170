import { hostname } from 'node:os'
import { BinaryWriter } from '@bufbuild/protobuf/wire'
import crc32c from 'crc-32/crc32c.js'

// TensorBoard's event files. There is no small, maintained package that writes them; the format is
// TFRecord (length, masked CRC-32C, bytes, masked CRC-32C) around three protobuf messages of
// tensorflow/core/util/event.proto and summary.proto, of which scalars need six fields.

/** A name that TensorBoard finds. */
export function eventFileName(seconds: number): string {
  return `events.out.tfevents.${Math.floor(seconds)}.${hostname()}`
}

/** First record of a file. */
export function versionRecord(seconds: number): Uint8Array {
  return record(new BinaryWriter().tag(1, 1).double(seconds).tag(3, 2).string('brain.Event:2'))
}

/**
 * One event with scalars.
 *
 * @param seconds - since 1970
 */
export function scalarRecord(
  seconds: number,
  step: number,
  scalars: Readonly<Record<string, number>>,
): Uint8Array {
  const summary = new BinaryWriter()
  for (const [name, value] of Object.entries(scalars)) {
    summary.tag(1, 2).fork().tag(1, 2).string(name).tag(2, 5).float(value).join()
  }
  return record(
    new BinaryWriter()
      .tag(1, 1)
      .double(seconds)
      .tag(2, 0)
      .int64(step)
      .tag(5, 2)
      .bytes(summary.finish()),
  )
}

function record(event: BinaryWriter): Uint8Array {
  const data = event.finish()
  const out = Buffer.alloc(8 + 4 + data.length + 4)
  out.writeBigUInt64LE(BigInt(data.length))
  out.writeUInt32LE(masked(out.subarray(0, 8)), 8)
  out.set(data, 12)
  out.writeUInt32LE(masked(data), 12 + data.length)
  return out
}

/** TFRecord's checksum: rotated and shifted, so that a checksum of checksums is no fixed point. */
function masked(bytes: Uint8Array): number {
  const crc = crc32c.buf(bytes) >>> 0
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0
}
