/** TypeScript programs that use the packed package compile, its declarations checked too. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import ts from 'typescript'
import { root } from '../../scripts/build/common.mjs'
import { installedProject } from './support.mjs'

const USE = `
import { DeclipError, loadModel, type Model, type Progress, segment, segmentMany, type Tensor } from 'declip-native'

export async function labels(picture: string | Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
  const model: Model = await loadModel('words-tiny', { onProgress: ({ step }: Progress) => console.log(step) })
  try {
    const seg = await segment(picture, ['background', 'cat'], { model, signal, method: 'naclip' })
    const map: Tensor = seg.labels
    console.log(map.shape, seg.areas[0]?.toFixed(3))
    for await (const next of segmentMany([picture], ['cat'], { model })) next.dispose()
    return await seg.toPNG({ overlay: { opacity: 0.5 } })
  } catch (error) {
    if (error instanceof DeclipError && error.code === 'ERR_DECLIP_ABORTED') throw error.cause
    // @ts-expect-error: no such code
    if (error instanceof DeclipError && error.code === 'ERR_DECLIP_ABORT') throw error
    throw error
  } finally {
    model.dispose()
  }
}
// @ts-expect-error: no such option
export const wrong = segment('a.png', ['cat'], { shortside: 96 })
`
const REQUIRE = `import declip = require('declip-native')\nexport const model: Promise<declip.Model> = declip.loadModel()\n`

const { ModuleKind, ModuleResolutionKind, ScriptTarget } = ts
const MODES = {
  node16: [ModuleKind.Node16, ModuleResolutionKind.Node16],
  nodenext: [ModuleKind.NodeNext, ModuleResolutionKind.NodeNext],
  bundler: [ModuleKind.ESNext, ModuleResolutionKind.Bundler],
}
const folder = installedProject(t)
mkdirSync(join(folder, 'src'))
const write = (name, text) => {
  writeFileSync(join(folder, 'src', name), text)
  return join(folder, 'src', name)
}
const imports = [write('es-module.mts', USE), write('common.cts', USE)]
const requires = write('require.cts', REQUIRE)

for (const [name, [module, moduleResolution]] of Object.entries(MODES)) {
  t.test(name, async t => {
    // `import = require` is for programs that are written as CommonJS
    const files = name === 'bundler' ? imports : [...imports, requires]
    const program = ts.createProgram(files, {
      module,
      moduleResolution,
      target: ScriptTarget.ES2022,
      lib: ['lib.es2022.d.ts'],
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      noUncheckedSideEffectImports: true,
      skipLibCheck: false,
      noEmit: true,
      types: ['node'],
      typeRoots: [join(root, 'node_modules/@types')],
    })
    const problems = ts.formatDiagnostics(ts.getPreEmitDiagnostics(program), {
      getCurrentDirectory: () => folder,
      getCanonicalFileName: name => name,
      getNewLine: () => '\n',
    })
    t.equal(problems, '')
    const own = program
      .getSourceFiles()
      .filter(file => file.fileName.includes('/declip-native/dist/'))
    t.ok(own.length > 20, `${own.length} declarations of the package were read`)
  })
}
