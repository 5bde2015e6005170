/** What a build needs, and where to get it. */
import { spawnSync } from 'node:child_process'
import { Failure } from './common.mjs'
import { platformName, SCOPE } from './platforms.mjs'

const TOOLS = [
  {
    name: 'A C++20 compiler',
    programs: [process.env.CXX, 'c++', 'g++', 'clang++', 'cl'],
    install: 'apt-get install g++; dnf install gcc-c++; macOS: xcode-select --install',
  },
  {
    name: 'CMake 3.21 or newer',
    programs: ['cmake'],
    install: 'apt-get install cmake; dnf install cmake; macOS: brew install cmake',
  },
  {
    name: 'A build tool',
    programs: ['ninja', 'make', 'nmake'],
    install: 'apt-get install make; dnf install make; macOS: brew install ninja',
  },
]

export function requireNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major < 20 || (major === 20 && minor < 19))
    throw new Failure(`Node 20.19 or newer is needed, this is ${process.versions.node}.`)
}

/** Throws a Failure that names every missing program and the package that has it. */
export function requireTools() {
  const problems = []
  for (const { name, programs, install } of TOOLS) {
    if (programs.some(program => program && hasProgram(program))) continue
    problems.push(`${name} is missing (${install}).`)
  }
  if (problems.length === 0) return
  const names = ['', 'libtorch-'].map(part => `${SCOPE}/${part}${platformName()}`)
  problems.push(
    `Where the C++ sources are those of a release, its addon does without them: npm install --no-save ${names.join(' ')}`,
  )
  throw new Failure(problems.join('\n'))
}

export function hasProgram(program) {
  const { error } = spawnSync(program, ['--version'], { stdio: 'ignore' })
  return error?.code !== 'ENOENT'
}
