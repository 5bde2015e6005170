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
