import { join } from 'node:path'
import t from 'tap'
import { root } from '../../scripts/build/common.mjs'
import { readElf } from '../../scripts/build/elf.mjs'
import {
  brokenLinks,
  namedFolders,
  tooNew,
  untrueSizes,
} from '../../scripts/check/package-rules.mjs'

t.test('symbols newer than the oldest supported system has are named', async t => {
  const symbols = [
    { name: 'exp', version: 'GLIBC_2.29' },
    { name: 'fstat', version: 'GLIBC_2.33' },
    { name: 'memcpy', version: 'GLIBC_2.14' },
    { name: 'powf', version: 'GLIBC_2.27' },
    { name: 'fcntl64', version: 'GLIBC_2.28' },
    { name: 'old', version: 'GLIBC_2.3.4' },
    { name: 'wait', version: 'GLIBCXX_3.4.30' },
    { name: 'string', version: 'GLIBCXX_3.4.21' },
    { name: 'GOMP_parallel', version: 'GOMP_4.0' },
  ]
  const names = tooNew({ symbols }).map(text => /needs (\w+)@/.exec(text)[1])
  t.same(names, ['exp', 'fstat', 'wait'])
})

if (process.platform === 'linux') {
  t.test('what a library needs is read from it', async t => {
    const { needed, symbols } = readElf(process.execPath)
    t.ok(needed.includes('libc.so.6'), needed.join(' '))
    t.ok(symbols.some(({ name, version }) => name === 'malloc' && /^GLIBC_2\.\d/.test(version)))
    t.throws(() => readElf(join(root, 'package.json')), /is no 64-bit little-endian ELF file/)
  })

  t.test('the addon runs on the oldest supported system, wherever it was linked', async t => {
    const { DECLIP_ADDON: addon = join(root, 'build/Release/declip-native.node') } = process.env
    const elf = readElf(addon)
    t.equal(elf.runpath, '$ORIGIN')
    t.same(tooNew(elf), [])
  })
}

t.test('folders of the machine that built a file', async t => {
  const bytes = Buffer.from('\0/home/me/clone/cpp/a.cpp\0')
  t.match(namedFolders(bytes, ['/home/me/clone', '/home/mel']), [/names \/home\/me\/clone/])
})

t.test('relative links', async t => {
  const text = '[a](docs/a.md#part) [b](b.md) [c](https://c.d/e) [d](#here) ![e](images) [f](../f)'
  const broken = brokenLinks(text, ['docs/a.md', 'images/e.png'])
  t.match(broken, [/links to b\.md/, /links to \.\.\/f/])
  t.equal(broken.length, 2)
})

t.test('stated sizes', async t => {
  const text = '| `a` | 7.9 MB | 22 MB |\n| `b` | 1.1 MB | 2.3 MB |'
  const size = (name, packed, unpacked) => ({ name, packed, unpacked })
  t.same(untrueSizes(text, [size('a', 7.8e6, 21.6e6), size('b', 1.02e6, 2.3e6)]), [])
  t.match(untrueSizes(text, [size('a', 9e6, 21.6e6)]), [/states 7\.9 MB for a, which has 9\.0/])
  t.match(untrueSizes(text, [size('c', 1, 1)]), [/says nothing of the size of c/])
})
