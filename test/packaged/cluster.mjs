/**
 * Parts of a folder as clusters run them, from the packed package: GNU parallel itself, the Slurm script under
 * stand-ins of Slurm's programs, the Kubernetes Job's command with its variables.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { delimiter, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { cutOutSprites, writeFolder } from '../../models/recipe/scenes/folder.mjs'
import { root } from '../../scripts/build/common.mjs'
import { emptyFolder, project, runIn } from './support.mjs'
import { installTools, tool } from './tools/install.mjs'
import { missing, systemProgram } from './tools/system.mjs'

const COUNT = 24
const WORDS = ['--classes', 'background; tree; dog, puppy', '--short-side', '64']
const script = join(root, 'examples/cluster/slurm.sbatch')
const manifest = join(root, 'examples/cluster/job.yaml')
const onWindows = process.platform === 'win32' && 'there is no shell'

/** The fields of batch/v1's Job and of what it holds that the manifest may have, by Kubernetes' API reference; `?`: or not. */
const AMOUNTS = { cpu: 'string', memory: 'string' }
const JOB = {
  apiVersion: 'string',
  kind: 'string',
  metadata: { name: 'string' },
  spec: {
    completionMode: 'string',
    completions: 'integer',
    parallelism: 'integer',
    backoffLimitPerIndex: 'integer',
    podFailurePolicy: {
      rules: [
        {
          action: 'string',
          'onPodConditions?': [{ type: 'string', status: 'string' }],
          'onExitCodes?': { containerName: 'string', operator: 'string', values: ['integer'] },
        },
      ],
    },
    ttlSecondsAfterFinished: 'integer',
    template: {
      spec: {
        restartPolicy: 'string',
        securityContext: { runAsNonRoot: 'boolean', runAsUser: 'integer', fsGroup: 'integer' },
        containers: [
          {
            name: 'string',
            image: 'string',
            command: ['string'],
            args: ['string'],
            env: [{ name: 'string', value: 'string' }],
            resources: { requests: AMOUNTS, limits: AMOUNTS },
            volumeMounts: [{ name: 'string', mountPath: 'string' }],
          },
        ],
        volumes: [{ name: 'string', persistentVolumeClaim: { claimName: 'string' } }],
      },
    },
  },
}

const folder = emptyFolder(t)
const programs = join(folder, 'programs')
mkdirSync(programs)
symlinkSync(join(project, 'node_modules/.bin/declip'), join(programs, 'declip'))
const env = {
  PATH: [programs, process.env.PATH].join(delimiter),
  HOME: folder,
  DECLIP_MODEL: 'words-tiny',
}
const run = (command, args, more = {}) => runIn(folder, command, args, { env: { ...env, ...more } })

await writeFolder(join(folder, 'set'), { count: COUNT, side: 96, sprites: await cutOutSprites() })
cpSync(join(folder, 'set/images'), join(folder, 'photos'), { recursive: true })
const masks = name => readdirSync(join(folder, name)).sort()
const whole = await run('declip', ['segment', 'photos', ...WORDS, '--out', 'whole/'])
t.equal(whole.code, 0, whole.stderr)
t.equal(masks('whole').length, COUNT)

/** A folder of masks is that of one run. */
function sameMasks(t, name) {
  t.strictSame(masks(name), masks('whole'))
  const differing = masks('whole').filter(
    file =>
      !readFileSync(join(folder, name, file)).equals(readFileSync(join(folder, 'whole', file))),
  )
  t.strictSame(differing, [], 'the same bytes')
}

const parallel = systemProgram('parallel')
t.test('GNU parallel', { skip: parallel ? false : missing('parallel') }, async t => {
  const inParts = ['--jobs', '2', 'declip']
  const over = [':::', '1', '2', '3']

  const segment = ['segment', 'photos', '--shard', '{}/3', ...WORDS.map(quoted), '--out', 'parts/']
  const done = await run(parallel, [...inParts, ...segment, '--skip-existing', ...over])
  t.equal(done.code, 0, done.stderr)
  sameMasks(t, 'parts')

  const measure = ['eval', '--dataset', 'folder', '--data', 'set', '--short-side', '64']
  const one = await run('declip', [...measure, '--out', 'measured', '--json'])
  t.equal(one.code, 0, one.stderr)
  const parts = ['--shard', '{}/3', '--out', 'measured-{}', '--resume']
  const measured = await run(parallel, [...inParts, ...measure, ...parts, ...over])
  t.equal(measured.code, 0, measured.stderr)
  const merged = await run('declip', ['merge', 'measured-1', 'measured-2', 'measured-3', '--json'])
  t.equal(merged.code, 0, merged.stderr)
  const figures = text => {
    const { miou, macc, aacc, classes, pictures } = JSON.parse(text)
    return { miou, macc, aacc, classes, pictures }
  }
  t.strictSame(figures(merged.stdout), figures(one.stdout), 'to the last digit')
  t.equal(figures(one.stdout).pictures, COUNT)

  const annotate = ['export', 'photos', '--to', 'coco', '--skip-existing']
  const alone = await run('declip', [...annotate, ...WORDS, '--out', 'annotated'])
  t.equal(alone.code, 0, alone.stderr)
  const sets = ['--shard', '{}/3', ...WORDS.map(quoted), '--out', 'set-{}']
  const exported = await run(parallel, [...inParts, ...annotate, ...sets, ...over])
  t.equal(exported.code, 0, exported.stderr)
  const united = await run('declip', ['merge', 'set-1', 'set-2', 'set-3', '--out', 'united'])
  t.equal(united.code, 0, united.stderr)
  for (const name of ['annotations/instances_default.json', 'results.json']) {
    const [ours, theirs] = ['united', 'annotated'].map(set => readFileSync(join(folder, set, name)))
    t.ok(ours.equals(theirs), name)
  }
})

t.test('the Slurm array', { skip: onWindows }, async t => {
  for (const [name, lines] of Object.entries({
    srun: 'exec "$@"',
    scontrol: `echo "$@" >> '${join(folder, 'requeued')}'`,
  })) {
    writeFileSync(join(programs, name), `#!/bin/sh\n${lines}\n`)
    chmodSync(join(programs, name), 0o755)
  }
  const task = (id, count = 3, more = {}) => ({
    SLURM_ARRAY_JOB_ID: '700',
    SLURM_ARRAY_TASK_ID: String(id),
    SLURM_ARRAY_TASK_COUNT: String(count),
    SLURM_CPUS_PER_TASK: '1',
    ...more,
  })
  const segment = [script, 'segment', 'photos', ...WORDS, '--out', 'array/', '--skip-existing']
  const withErrors = [...segment, '--errors', 'failed-{part}.jsonl']

  const syntax = await run('bash', ['-n', script])
  t.equal(syntax.code, 0, syntax.stderr)
  for (const directive of ['requeue', 'signal=B:USR1@\\d+', 'time=', 'cpus-per-task=', 'mem=']) {
    t.match(readFileSync(script, 'utf8'), new RegExp(`^#SBATCH --${directive}`, 'm'))
  }
  for (const [given, says] of [
    [{ SLURM_ARRAY_TASK_ID: '1' }, 'Submit it as an array'],
    [task(7, 2), 'Task 7 is none of 1 to 2'],
  ]) {
    const { code, stderr } = await run('bash', withErrors, given)
    t.not(code, 0)
    t.match(stderr, says)
  }

  await t.test('a task whose time is up goes on when it is queued again', async t => {
    const child = spawn('bash', withErrors, { cwd: folder, env: { ...env, ...task(1) } })
    await until(() => existsSync(join(folder, 'array')) && masks('array').length > 0)
    child.kill('SIGUSR1')
    const [code] = await once(child, 'exit')
    t.equal(code, 0)
    t.equal(readFileSync(join(folder, 'requeued'), 'utf8'), 'requeue 700_1\n')
    t.notOk(
      masks('array').some(name => name.endsWith('.tmp')),
      'nothing half-written',
    )
    t.comment(`${masks('array').length} masks were there`)
  })

  for (const id of [1, 2]) {
    const { code, stderr } = await run('bash', withErrors, task(id))
    t.equal(code, 0, stderr)
    t.ok(existsSync(join(folder, `failed-${id}.jsonl`)), 'errors of a part of its own')
  }
  t.not(masks('array').length, COUNT, 'a part is left')
  const last = await run('bash', withErrors, task(3, 1, { PARTS: '3' }))
  t.equal(last.code, 0, last.stderr)
  sameMasks(t, 'array')
})

t.test('the Kubernetes Job', { skip: onWindows }, async t => {
  await installTools()
  const { parse } = createRequire(import.meta.url)(tool('yaml'))
  const job = parse(readFileSync(manifest, 'utf8'))
  t.strictSame(misfits(job, JOB), [], 'fields and types of the API')
  const spec = { ...job.spec, completions: '8', completion: 8, template: undefined }
  t.strictSame(misfits({ ...job, spec }, JOB), [
    'spec.completions is a string',
    'spec.template is missing',
    'spec.completion is unknown',
  ])

  const { completionMode, completions, template } = job.spec
  const [{ command, args, env: variables }] = template.spec.containers
  t.equal(completionMode, 'Indexed')
  t.strictSame(variables, [{ name: 'PARTS', value: String(completions) }])
  t.equal(template.spec.restartPolicy, 'Never', 'as a policy on failures asks for')

  // The paths of the container are those of this folder; short sides only make it quick.
  const here = text => text.replaceAll('/data/', `${folder}/indexed/`)
  mkdirSync(join(folder, 'indexed'))
  cpSync(join(folder, 'photos'), join(folder, 'indexed/photos'), { recursive: true })
  const [shell, ...rest] = [...command, ...args].map(here)
  for (let index = 0; index < completions; index++) {
    const given = { PARTS: String(completions), JOB_COMPLETION_INDEX: String(index) }
    const { code, stderr } = await run(shell, [...rest, '--short-side', '64'], given)
    t.equal(code, 0, stderr)
  }
  sameMasks(t, 'indexed/masks')
})

/** What of an object has another type than its shape says, is missing, or is unknown. */
function misfits(value, shape, place = '') {
  if (typeof shape === 'string') {
    const type = Number.isInteger(value) ? 'integer' : typeof value
    return type === shape ? [] : [`${place} is a ${type}`]
  }
  if (Array.isArray(shape)) {
    if (!Array.isArray(value)) return [`${place} is no list`]
    return value.flatMap((each, i) => misfits(each, shape[0], `${place}.${i}`))
  }
  const below = key => (place ? `${place}.${key}` : key)
  const known = Object.entries(shape).flatMap(([name, inner]) => {
    const key = name.replace('?', '')
    if (value[key] !== undefined) return misfits(value[key], inner, below(key))
    return name.endsWith('?') ? [] : [`${below(key)} is missing`]
  })
  const unknown = Object.keys(value).filter(key => !(key in shape) && !(`${key}?` in shape))
  return [...known, ...unknown.map(key => `${below(key)} is unknown`)]
}

/** For a shell. */
function quoted(text) {
  return /^[\w-]+$/.test(text) ? text : `'${text}'`
}

async function until(holds) {
  for (const end = Date.now() + 60_000; !holds(); await wait(10)) {
    if (Date.now() > end) throw new Error('It did not come to that within a minute.')
  }
}
