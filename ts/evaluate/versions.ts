import { readFileSync } from 'node:fs'
import { packagePath } from '../base/package-files.js'
import { loadAddon } from '../engine/load-addon.js'
import type { Model } from '../model/model.js'
import type { EvaluationVersions } from './result.js'

/** What this process computes with. @internal */
export function versionsOf(model: Model): EvaluationVersions {
  const { version } = JSON.parse(readFileSync(packagePath('package.json'), 'utf8')) as {
    version: string
  }
  const { libtorch, cpu, kernels } = loadAddon().runtime()
  const { engine, device } = model.info
  return { package: version, libtorch, node: process.version, cpu, kernels, engine, device }
}
