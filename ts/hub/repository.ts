/** What a hub says about a model repository: its commit, license and files. */
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { get, HttpError, isWebPage, type Patience, webPage } from '../base/http.js'
import { DeclipError } from '../errors.js'

/** A repository on the hub. */
export interface Repository {
  /** 'owner/name'. */
  id: string
  /** Branch, tag or commit. */
  revision: string
  /** The one weights file to take; without it the usual names are looked for. */
  file?: string | undefined
}

/** A file of the repository: its SHA-256 or Git id, and its size in bytes. */
export interface RemoteFile {
  path: string
  size: number
  digest: string
}

/** Where requests go, and what they carry. */
export interface Hub {
  /** Without user, password and a slash at the end. */
  url: string
  headers: Readonly<Record<string, string>>
}

const COMMIT = /^[0-9a-f]{40}$/
const DIGEST = /^([0-9a-f]{40}|[0-9a-f]{64})$/

/** Whether a revision is a commit, which never moves. */
export function isCommit(revision: string): boolean {
  return COMMIT.test(revision)
}

/** The hub of HF_ENDPOINT, else Hugging Face's, with the token of the environment. */
export async function hubOfEnvironment(): Promise<Hub> {
  const endpoint = process.env['HF_ENDPOINT']?.trim() || 'https://huggingface.co'
  const url = URL.canParse(endpoint) ? new URL(endpoint) : null
  if (!url || !/^https?:$/.test(url.protocol)) {
    const message = `HF_ENDPOINT must be the address of a hub, like https://huggingface.co. Correct or unset it.`
    throw new DeclipError('ERR_DECLIP_NETWORK', message)
  }
  const { username, password } = url
  url.username = url.password = ''
  const token = await accessToken()
  const login = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return {
    url: url.href.replace(/\/+$/, ''),
    headers: token
      ? { authorization: `Bearer ${token}` }
      : username || password
        ? { authorization: `Basic ${Buffer.from(login).toString('base64')}` }
        : {},
  }
}

/** HF_TOKEN, else what `hf auth login` stored; mirrors have tokens of any form. '' for none. */
async function accessToken(): Promise<string> {
  const env = process.env
  const cache = env['XDG_CACHE_HOME'] || join(homedir(), '.cache')
  const stored = env['HF_TOKEN_PATH'] || join(env['HF_HOME'] || join(cache, 'huggingface'), 'token')
  const named = (env['HF_TOKEN'] || env['HUGGING_FACE_HUB_TOKEN'] || '').trim()
  const token = named || (await readFile(stored, 'utf8').catch(() => '')).trim()
  if (/^[\x21-\x7e]*$/.test(token)) return token
  const source = named ? 'HF_TOKEN' : stored
  const message = `The access token in ${source} has blanks or characters that are not ASCII. Copy it again.`
  throw new DeclipError('ERR_DECLIP_NETWORK', message)
}

/** What a hub says of a revision of a repository. */
export interface About {
  /** Where the revision stands. */
  commit: string
  /** Of the model card. */
  license: string | undefined
  /** Of a licence with a name of its own. */
  licenseUrl: string | undefined
  /** Access is given on request. */
  gated: boolean
}

/** The commit that a revision stands at, and the model card's licence. */
export async function aboutRepository(
  hub: Hub,
  { id, revision }: Repository,
  patience: Patience,
): Promise<About> {
  const url = `${hub.url}/api/models/${id}/revision/${encodeURIComponent(revision)}`
  const { value } = await getJson(hub, url, patience)
  const { sha, gated, cardData } = (value ?? {}) as Record<'sha' | 'gated' | 'cardData', unknown>
  if (typeof sha !== 'string' || !COMMIT.test(sha)) {
    throw new Error(`the answer names no commit but ${JSON.stringify(sha)}`)
  }
  const asked = gated !== undefined && gated !== null && gated !== false
  return { commit: sha, ...licenseOf(hub, id, cardData), gated: asked }
}

/** A licence that is none of the hub's list is 'other', with a name and where it lies beside it. */
function licenseOf(hub: Hub, id: string, card: unknown): Pick<About, 'license' | 'licenseUrl'> {
  const {
    license,
    license_name: name,
    license_link: link,
  } = (card ?? {}) as Record<string, unknown>
  const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined)
  if (license !== 'other' && text(license)) return { license: text(license), licenseUrl: undefined }
  const at = text(link)
  const licenseUrl = at && (/^https?:/.test(at) ? at : `${hub.url}/${id}/blob/main/${at}`)
  return { license: text(name) ?? text(license), licenseUrl }
}

/** The files of a commit by path; those in folders only if `recursive`. */
export async function listFiles(
  hub: Hub,
  id: string,
  commit: string,
  recursive: boolean,
  patience: Patience,
): Promise<Map<string, RemoteFile>> {
  const listing = new Map<string, RemoteFile>()
  const first = `${hub.url}/api/models/${id}/tree/${commit}${recursive ? '?recursive=true' : ''}`
  const seen = new Set<string>()
  for (let url: string | undefined = first; url !== undefined && !seen.has(url); ) {
    seen.add(url)
    const { value, next } = await getJson(hub, url, patience)
    if (!Array.isArray(value)) throw new Error('the answer lists no files')
    for (const entry of value as Partial<RemoteEntry>[]) {
      const { type, path, size = 0, oid, lfs } = entry
      const digest = lfs?.oid ?? oid ?? ''
      if (type === 'file' && isPlainPath(path) && DIGEST.test(digest)) {
        listing.set(path, { path, size: lfs?.size ?? size, digest })
      }
    }
    url = next
  }
  return listing
}

interface RemoteEntry {
  type: string
  path: string
  size: number
  oid: string
  lfs: { oid: string; size: number }
}

/** Where a file of a commit is downloaded. */
export function fileUrl(hub: Hub, id: string, commit: string, path: string): string {
  return `${hub.url}/${id}/resolve/${commit}/${path.split('/').map(encodeURIComponent).join('/')}`
}

/** Names come from the hub and are joined to a folder: nothing may lead out of it, on any system. */
export function isPlainPath(path: unknown): path is string {
  return typeof path === 'string' && path.split('/').every(part => /^[\w][\w.+ -]*$/.test(part))
}

/** The most bytes of an answer that are read. */
const LONGEST = 64 * 2 ** 20

async function getJson(
  hub: Hub,
  url: string,
  patience: Patience,
): Promise<{ value: unknown; next: string | undefined }> {
  const ours = new URL(url).origin === new URL(hub.url).origin
  const headers = { accept: 'application/json', ...(ours ? hub.headers : {}) }
  return get(url, headers, patience, async ({ status, headers, body }) => {
    const chunks: Uint8Array[] = []
    let size = 0
    for await (const chunk of body) {
      chunks.push(chunk)
      size += chunk.length
      if (size > LONGEST) throw new Error(`the answer is longer than ${LONGEST} bytes`)
    }
    const bytes = Buffer.concat(chunks)
    if (status >= 400)
      throw new HttpError(status, errorIn(bytes) ?? `the server answered ${status}`)
    if (isWebPage(headers, bytes)) throw webPage(status, "the hub's answer")
    const next = /<([^>]+)>\s*;\s*rel="?next"?/.exec(headers.get('link') ?? '')?.[1]
    try {
      const value = JSON.parse(bytes.toString()) as unknown
      return { value, next: next && new URL(next, url).href }
    } catch {
      const start = JSON.stringify(bytes.subarray(0, 60).toString())
      throw new Error(`the answer is not JSON; it begins with ${start}`)
    }
  })
}

/** The sentence in a hub's error answer. */
function errorIn(bytes: Buffer): string | undefined {
  try {
    const { error } = JSON.parse(bytes.toString()) as { error?: unknown }
    return typeof error === 'string' ? error : undefined
  } catch {
    return undefined
  }
}
