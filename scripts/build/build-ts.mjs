/**
 * Builds ts/ with type checks into dist/esm, then the same files as CommonJS into dist/cjs beside
 * a copy of their declarations.
 */
import { chmodSync, copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import ts from 'typescript'
import { Failure, filesUnder, root } from './common.mjs'

const host = { ...ts.sys, onUnRecoverableConfigFileDiagnostic: report }
const source = join(root, 'ts')
const esm = join(root, 'dist/esm')
const cjs = join(root, 'dist/cjs')

export function buildTypeScript() {
  rmSync(join(root, 'dist'), { recursive: true, force: true })
  const config = ts.getParsedCommandLineOfConfigFile(join(root, 'tsconfig.build.json'), {}, host)
  const program = ts.createProgram(config.fileNames, config.options)
  const emitted = program.emit()
  const problems = [...ts.getPreEmitDiagnostics(program), ...emitted.diagnostics]
  for (const problem of problems) report(problem)

  for (const file of program.getSourceFiles()) {
    if (file.fileName.startsWith(source) && !file.isDeclarationFile) writeCommonJs(file)
  }
  writeFileSync(join(cjs, 'package.json'), '{ "type": "commonjs" }\n')
  for (const file of filesUnder('dist/esm')) {
    if (!file.endsWith('.d.ts')) continue
    const copy = join(cjs, relative(esm, join(root, file)))
    mkdirSync(dirname(copy), { recursive: true })
    copyFileSync(join(root, file), copy)
  }
  const command = join(esm, 'cli/main.js')
  if (existsSync(command)) chmodSync(command, 0o755)
  if (problems.length > 0)
    throw new Failure(`TypeScript found ${problems.length} problem(s) in ts/.`)
}

function writeCommonJs(file) {
  const target = join(cjs, relative(source, file.fileName)).replace(/\.ts$/, '.js')
  const { outputText, sourceMapText } = ts.transpileModule(file.text, {
    fileName: file.fileName,
    compilerOptions: {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.CommonJS,
      esModuleInterop: true,
      sourceMap: true,
      inlineSources: true,
    },
    transformers: { before: [importMetaUrl] },
  })
  mkdirSync(dirname(target), { recursive: true })
  writeFileSync(target, outputText)
  writeFileSync(`${target}.map`, sourceMapText)
}

/** CommonJS has no `import.meta.url`: the URL of `__filename` takes its place. */
function importMetaUrl(context) {
  const { factory } = context
  const call = (target, argument) => factory.createCallExpression(target, undefined, [argument])
  const visit = node => {
    if (!ts.isPropertyAccessExpression(node) || !ts.isMetaProperty(node.expression)) {
      return ts.visitEachChild(node, visit, context)
    }
    const url = call(factory.createIdentifier('require'), factory.createStringLiteral('node:url'))
    const toUrl = factory.createPropertyAccessExpression(url, 'pathToFileURL')
    const fileUrl = call(toUrl, factory.createIdentifier('__filename'))
    return factory.createPropertyAccessExpression(fileUrl, 'href')
  }
  return file => ts.visitNode(file, visit)
}

function report(problem) {
  const text = ts.formatDiagnosticsWithColorAndContext([problem], {
    getCurrentDirectory: () => root,
    getCanonicalFileName: name => name,
    getNewLine: () => '\n',
  })
  process.stderr.write(text)
}
