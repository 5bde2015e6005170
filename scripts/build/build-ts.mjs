/**
 * Builds ts/ with type checks into dist/: the whole package as CommonJS with its declarations, and
 * index.mjs, which gives `import` the exports of that one copy by name.
 */
import { chmodSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import ts from 'typescript'
import { Failure, root } from './common.mjs'

const host = { ...ts.sys, onUnRecoverableConfigFileDiagnostic: report }
const source = join(root, 'ts')
const dist = join(root, 'dist')

export function buildTypeScript() {
  rmSync(dist, { recursive: true, force: true })
  const config = ts.getParsedCommandLineOfConfigFile(join(root, 'tsconfig.build.json'), {}, host)
  const program = ts.createProgram(config.fileNames, config.options)
  const emitted = program.emit()
  const problems = [...ts.getPreEmitDiagnostics(program), ...emitted.diagnostics]
  for (const problem of problems) report(problem)

  for (const file of program.getSourceFiles()) {
    if (file.fileName.startsWith(source) && !file.isDeclarationFile) writeCommonJs(file)
  }
  writeFileSync(join(dist, 'package.json'), '{ "type": "commonjs" }\n')
  const names = valueExports(program, join(source, 'index.ts'))
  writeFileSync(
    join(dist, 'index.mjs'),
    `export {\n  ${names.join(',\n  ')},\n} from './index.js'\n`,
  )
  writeFileSync(join(dist, 'index.d.mts'), "export * from './index.js'\n")
  const command = join(dist, 'cli/main.js')
  if (existsSync(command)) chmodSync(command, 0o755)
  if (problems.length > 0)
    throw new Failure(`TypeScript found ${problems.length} problem(s) in ts/.`)
}

/** What a module exports at run time: its names without types. */
function valueExports(program, path) {
  const checker = program.getTypeChecker()
  const isType = ({ declarations = [] }) =>
    declarations.some(node => ts.isExportSpecifier(node) && ts.isTypeOnlyExportDeclaration(node))
  return checker
    .getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(path)))
    .filter(symbol => !isType(symbol))
    .filter(symbol => {
      const isAlias = symbol.flags & ts.SymbolFlags.Alias
      const { flags } = isAlias ? checker.getAliasedSymbol(symbol) : symbol
      return flags & ts.SymbolFlags.Value
    })
    .map(({ name }) => name)
}

function writeCommonJs(file) {
  const target = join(dist, relative(source, file.fileName)).replace(/\.ts$/, '.js')
  const { outputText } = ts.transpileModule(file.text, {
    fileName: file.fileName,
    compilerOptions: {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.CommonJS,
      esModuleInterop: true,
    },
    transformers: { before: [importMetaUrl] },
  })
  mkdirSync(dirname(target), { recursive: true })
  writeFileSync(target, outputText)
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
