import { toPath } from '../base/files.js'
import { fingerprintOf } from '../base/fingerprint.js'
import { METHODS, type MethodName } from '../methods/list.js'
import type { Method } from '../methods/method.js'
import type { ResolvedMethod } from '../methods/resolve.js'
import { Model } from '../model/model.js'
import { type Prepared, prepare } from '../segment/segment.js'
import type { EvaluateOptions } from './options.js'

/** Model and method, with the method's values for the data set where it has some. @internal */
export async function prepareFor(options: EvaluateOptions, name: string): Promise<Prepared> {
  // The method may be the model's choice, so that the model comes first.
  const plain = await prepare({ ...options, dataset: undefined })
  const { datasets }: Method = METHODS[plain.method.method as MethodName]
  if (!Object.hasOwn(datasets, name)) return plain
  return prepare({ ...plain.options, model: plain.model, dataset: name })
}

/** The method with everything filled in, as it stands in a run's settings. @internal */
export async function valuesOf({ method, options }: Prepared, background: number) {
  const { dense, bank, ...windows } = method.pipeline
  const { proxyModel: _, proxyFeatures: __, ...own } = dense
  const proxy = options.proxy?.model
  const { model: text, projection } = options.text ?? {}
  return {
    preset: method.dataset,
    dense: own,
    ...(proxy instanceof Model && { proxy: await fingerprintOf(proxy.info.path) }),
    ...(text instanceof Model && { text: await fingerprintOf(text.info.path) }),
    ...(projection !== undefined && {
      projection: await fingerprintOf(toPath('text.projection', projection)),
    }),
    ...windows,
    ...(bank && { bank: JSON.parse(JSON.stringify(options.bank)) }),
    ...method.postprocess(background),
    ...textValues(method),
  }
}

function textValues({ templates, definitionWeight }: ResolvedMethod) {
  return { templates, definitionWeight }
}
