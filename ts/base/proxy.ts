/**
 * Which proxy a request goes through: HTTPS_PROXY, HTTP_PROXY and NO_PROXY as curl reads them, the
 * small letters first. Node's own fetch honours them from version 24 on, and only when told.
 */
import { BlockList, isIP } from 'node:net'
import type { Dispatcher } from 'undici'

/** The proxy of a URL, or null for a direct connection. @throws Error where a variable is no address */
export function proxyFor(target: string): URL | null {
  const url = new URL(target)
  const name = url.protocol === 'https:' ? 'https_proxy' : 'http_proxy'
  const value = variable(name)
  return value === '' || isExcluded(url, variable('no_proxy')) ? null : parse(name, value)
}

/** A proxy as it may be shown: without user and password. */
export function shown({ protocol, host }: URL): string {
  return `${protocol}//${host}`
}

/** `fetch` that goes through the proxies of the environment, redirects included. */
export async function environmentFetch(): Promise<typeof fetch> {
  if (variable('https_proxy') === '' && variable('http_proxy') === '') return fetch
  const undici = await import('undici')
  const key = ['https_proxy', 'http_proxy', 'no_proxy'].map(variable).join('\n')
  if (kept?.key !== key) {
    const factory = (origin: string | URL, options: object): Dispatcher => {
      const proxy = proxyFor(String(origin))
      if (!proxy) return new undici.Pool(origin, options)
      const { href, username, password } = proxy
      const login = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
      const token = `Basic ${Buffer.from(login).toString('base64')}`
      // Many proxies tunnel to the ports of HTTPS only.
      return new undici.ProxyAgent({
        uri: href,
        proxyTunnel: false,
        ...(username || password ? { token } : {}),
      })
    }
    kept = { key, dispatcher: new undici.Agent({ factory }) }
  }
  const { dispatcher } = kept
  const proxied = (input: string, init: object) => undici.fetch(input, { ...init, dispatcher })
  return proxied as unknown as typeof fetch
}

/** Open connections are used again as long as the environment stays the same. */
let kept: { key: string; dispatcher: Dispatcher } | undefined

function variable(name: string): string {
  return (process.env[name] || process.env[name.toUpperCase()] || '').trim()
}

/** An address without a scheme is one of plain HTTP. */
function parse(name: string, value: string): URL {
  const text = /^[a-z][a-z\d+.-]*:\/\//i.test(value) ? value : `http://${value}`
  const url = URL.canParse(text) ? new URL(text) : null
  if (url && /^https?:$/.test(url.protocol)) return url
  const variables = `${name.toUpperCase()} (or ${name})`
  throw new Error(`${variables} must be the address of an HTTP proxy, like http://proxy:3128`)
}

/** NO_PROXY: names with all below them, addresses, ranges as 10.0.0.0/8, each with an optional port; or *. */
function isExcluded(url: URL, list: string): boolean {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const port = url.port || (url.protocol === 'https:' ? '443' : '80')
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .some(entry => {
      if (entry === '*') return true
      const bare = isIP(entry) ? entry : entry.replace(/:\d+$/, '')
      if (bare !== entry && entry.slice(bare.length + 1) !== port) return false
      const name = bare.replace(/^\*?\./, '').replace(/^\[|\]$/g, '')
      return name !== '' && (host === name || host.endsWith(`.${name}`) || isInRange(host, name))
    })
}

function isInRange(host: string, range: string): boolean {
  const [network = '', bits] = range.split('/')
  const version = isIP(host)
  if (version === 0 || bits === undefined || isIP(network) !== version) return false
  const family = version === 4 ? 'ipv4' : 'ipv6'
  const ranges = new BlockList()
  try {
    ranges.addSubnet(network, Number(bits), family)
  } catch {
    return false
  }
  return ranges.check(host, family)
}
