/**
 * An ONNX file of nothing but products with as many weights as the bundled model has: the least that
 * another engine has to load.
 */
import { writeFile } from 'node:fs/promises'
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'

/** Rows and columns of a weight. */
export const SIDE = 984
const PRODUCTS = 10
/** onnx.proto: TensorProto.DataType.FLOAT */
const FLOAT = 1

/** `x` [1, SIDE] times PRODUCTS weights of zeros is `out` [1, SIDE]; field numbers are onnx.proto's. */
export async function writeChain(path) {
  const names = ['x', ...Array.from({ length: PRODUCTS - 1 }, (_, i) => `x${i + 1}`), 'out']
  const graph = new BinaryWriter()
  for (let i = 0; i < PRODUCTS; i++) {
    const node = new BinaryWriter()
    text(text(text(node, 1, names[i]), 1, `w${i}`), 2, names[i + 1])
    message(graph, 1, text(node, 4, 'MatMul'))
  }
  text(graph, 2, 'chain')
  for (let i = 0; i < PRODUCTS; i++) {
    const weight = number(number(number(new BinaryWriter(), 1, SIDE), 1, SIDE), 2, FLOAT)
    text(weight, 8, `w${i}`)
    weight.tag(9, WireType.LengthDelimited).bytes(new Uint8Array(4 * SIDE * SIDE))
    message(graph, 5, weight)
  }
  message(graph, 11, row('x'))
  message(graph, 12, row('out'))
  const model = number(new BinaryWriter(), 1, 8)
  message(model, 7, graph)
  message(model, 8, number(text(new BinaryWriter(), 1, ''), 2, 17))
  await writeFile(path, model.finish())
}

/** A ValueInfoProto of floats [1, SIDE]. */
function row(name) {
  const shape = new BinaryWriter()
  for (const size of [1, SIDE]) message(shape, 1, number(new BinaryWriter(), 1, size))
  const tensor = message(number(new BinaryWriter(), 1, FLOAT), 2, shape)
  return message(text(new BinaryWriter(), 1, name), 2, message(new BinaryWriter(), 1, tensor))
}

function message(writer, field, inner) {
  return writer.tag(field, WireType.LengthDelimited).bytes(inner.finish())
}

function text(writer, field, value) {
  return writer.tag(field, WireType.LengthDelimited).string(value)
}

function number(writer, field, value) {
  return writer.tag(field, WireType.Varint).int64(value)
}
