/** Names of CLIP's symbols in the order of their ids, by OpenAI's bytes_to_unicode(). */
export function symbolNames(pairs: Uint16Array | Uint32Array): string[] {
  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)
  const shown = [...range(33, 127), ...range(161, 173), ...range(174, 256)]
  const bytes = [...shown, ...range(256, 512 - shown.length)].map(code => String.fromCharCode(code))
  const names = [...bytes, ...bytes.map(name => `${name}</w>`)]
  for (let i = 0; i < pairs.length; i += 2) {
    names.push(`${names[pairs[i] as number]}${names[pairs[i + 1] as number]}`)
  }
  return names
}
