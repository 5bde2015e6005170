import { join } from 'node:path'
import t from 'tap'
import { readLabelMat } from '../../../../ts/evaluate/datasets/mat-file.js'
import { type MatOptions, mat, matrix } from '../../../support/mat.js'
import { writeTree } from '../../../support/tree.js'

/** Written by scipy 1.17: savemat(f, { LabelMap: uint16 [[0, 2, 459], [31, 9, 258]], name: 'x' }, do_compression=True). */
const SCIPY = Buffer.from(
  'TUFUTEFCIDUuMCBNQVQtZmlsZSBQbGF0Zm9ybTogcG9zaXgsIENyZWF0ZWQgb246IE1vbiBOb3YgMzAgMTY6Mjg6' +
    'MTggMjAyNgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABSU0PAAAA' +
    'OgAAAHic42NgYPAAYjYg5gBibgYIYIXymYCYGYgZoXyfxKTUHN/EAhYgmwesUh6ohpPhNCMTSAkDAIRNBJIPAAAA' +
    'JwAAAHic42NgYDAAYjYg5gBiFgYIYIXyGeGYhSEvMTdVAMiqAPIBJaQCjw==',
  'base64',
)

t.test('matrices of every form', async t => {
  const width = 7
  const height = 5
  const values = Array.from({ length: width * height }, (_, i) => (i * 53) % 460)
  const cases: Record<string, MatOptions> = {
    compressed: {},
    plain: { compress: false },
    'big-endian': { big: true },
    'big-endian, plain': { big: true, compress: false },
    'doubles stored as they are': { type: 9, kind: 6 },
    'doubles stored in 16 bits': { kind: 6 },
    '32 bits': { type: 6, kind: 13 },
    'behind other variables': {
      before: [
        matrix(1, 1, [3], { name: 'x', type: 2 }),
        matrix(2, 2, [1, 2, 3, 4], { name: 'LabelMaps' }),
      ],
    },
  }
  const folder = t.testdir()
  for (const [name, options] of Object.entries(cases)) {
    writeTree(folder, { 'a.mat': mat(width, height, values, options) })
    const found = await readLabelMat(join(folder, 'a.mat'))
    t.same([found.width, found.height, ...found.data], [width, height, ...values], name)
  }
  const bytes = values.map(value => value % 200)
  writeTree(folder, { 'a.mat': mat(width, height, bytes, { type: 2, kind: 9 }) })
  t.same([...(await readLabelMat(join(folder, 'a.mat'))).data], bytes, '8 bits')
  writeTree(folder, { 'a.mat': mat(1, 1, [7], { type: 2, kind: 9 }) })
  t.same([...(await readLabelMat(join(folder, 'a.mat'))).data], [7], 'a number within its tag')
})

t.test('as another program writes it', async t => {
  const folder = writeTree(t.testdir(), { 'a.mat': SCIPY })
  const { width, height, data } = await readLabelMat(join(folder, 'a.mat'))
  t.same([width, height, ...data], [3, 2, 0, 2, 459, 31, 9, 258])
})

t.test('what is no such file', async t => {
  const whole = mat(4, 3, Array(12).fill(1))
  const plain = mat(4, 3, Array(12).fill(1), { compress: false })
  const damaged = Buffer.from(whole)
  damaged.fill(0x55, 140, 160)
  const cases: [string, Buffer | string, RegExp][] = [
    ['text', 'LabelMap = 1', /a\.mat: it is no MAT file of level 5; save it .* '-v7'/],
    ['7.3', Buffer.from(`MATLAB 7.3 MAT-file${' '.repeat(200)}`), /version 7\.3; save it/],
    ['cut', whole.subarray(0, -4), /it is cut or damaged|data are damaged/],
    ['cut, plain', plain.subarray(0, -16), /it is cut or damaged/],
    ['damaged', damaged, /compressed data are damaged/],
    [
      'another variable',
      mat(2, 2, [1, 2, 3, 4], { name: 'Labels' }),
      /it has no variable LabelMap/,
    ],
    ['a cell array', mat(2, 2, [1, 2, 3, 4], { kind: 1 }), /must be a matrix of real numbers/],
    ['fractions', mat(2, 1, [1, 2.5], { type: 9, kind: 6 }), /whole numbers of 0 to 65535/],
    ['large', mat(2, 1, [1, 65536], { type: 6, kind: 13 }), /whole numbers of 0 to 65535/],
  ]
  for (const [name, bytes, message] of cases) {
    const folder = writeTree(t.testdir(), { 'a.mat': bytes })
    await t.rejects(
      readLabelMat(join(folder, 'a.mat')),
      { code: 'ERR_DECLIP_IMAGE', message },
      name,
    )
  }
  await t.rejects(readLabelMat(join(t.testdir(), 'none.mat')), { code: 'ERR_DECLIP_IO' })
})
