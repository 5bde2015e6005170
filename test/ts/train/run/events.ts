import t from 'tap'
import { eventFileName, scalarRecord, versionRecord } from '../../../../ts/train/run/events.js'

/** CRC-32C bit by bit, and TFRecord's mask. */
function maskedCrc(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0)
  }
  crc = ~crc >>> 0
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0
}

/** The message of a record whose length and checksums hold. */
function unwrap(t: Pick<typeof import('tap').t, 'equal'>, record: Uint8Array): Buffer {
  const bytes = Buffer.from(record)
  const length = Number(bytes.readBigUInt64LE(0))
  t.equal(bytes.length, length + 16)
  t.equal(bytes.readUInt32LE(8), maskedCrc(bytes.subarray(0, 8)))
  t.equal(bytes.readUInt32LE(12 + length), maskedCrc(bytes.subarray(12, 12 + length)))
  return bytes.subarray(12, 12 + length)
}

t.test('the first record is what TensorFlow writes', t => {
  const message = unwrap(t, versionRecord(1.5))
  const expected = Buffer.concat([
    Buffer.from([0x09]), // wall_time
    doubleBytes(1.5),
    Buffer.from([0x1a, 13]), // file_version
    Buffer.from('brain.Event:2'),
  ])
  t.same(message, expected)
  t.end()
})

t.test('scalars, byte by byte', t => {
  const message = unwrap(t, scalarRecord(2, 300, { loss: 0.5 }))
  const value = Buffer.concat([
    Buffer.from([0x0a, 4]), // tag
    Buffer.from('loss'),
    Buffer.from([0x15]), // simple_value
    floatBytes(0.5),
  ])
  const expected = Buffer.concat([
    Buffer.from([0x09]),
    doubleBytes(2),
    Buffer.from([0x10, 0xac, 0x02]), // step 300
    Buffer.from([0x2a, value.length + 2, 0x0a, value.length]), // summary, its value
    value,
  ])
  t.same(message, expected)
  t.match(eventFileName(12.7), /^events\.out\.tfevents\.12\./)
  t.end()
})

function doubleBytes(x: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleLE(x)
  return bytes
}

function floatBytes(x: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeFloatLE(x)
  return bytes
}
