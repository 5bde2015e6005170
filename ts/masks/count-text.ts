/**
 * Run lengths as pycocotools writes them into files: each, from the fourth on minus the one two places before it, in
 * groups of 5 bits from the lowest, bit 5 set where another follows, offset by 48 to printable characters. @internal
 */
export function countText(counts: readonly number[]): string {
  const codes: number[] = []
  for (const [i, count] of counts.entries()) {
    // Beyond 31 bits, as of a difference of two counts: no bit operations.
    let rest = i > 2 ? count - (counts[i - 2] as number) : count
    for (let more = true; more; ) {
      const group = ((rest % 32) + 32) % 32
      rest = Math.floor(rest / 32)
      more = (group & 16) === 0 ? rest !== 0 : rest !== -1
      codes.push((more ? group | 32 : group) + 48)
    }
  }
  return Buffer.from(codes).toString('latin1')
}

/** Run lengths of what {@link countText} wrote, and pycocotools. @internal */
export function countsOf(text: string): number[] {
  const counts: number[] = []
  let [count, place] = [0, 1]
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i) - 48
    count += (code & 31) * place
    place *= 32
    if (code & 32) continue
    if (code & 16) count -= place
    counts.push(counts.length > 2 ? count + (counts.at(-2) as number) : count)
    count = 0
    place = 1
  }
  return counts
}
