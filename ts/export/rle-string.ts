/**
 * Run lengths as COCO's string: each after the second as the difference to the one two before, in pieces of
 * five bits, the lowest first, with a sixth bit that says whether more follow, from the character '0' on. As
 * pycocotools' rleToString().
 */
export function rleString(counts: readonly number[]): string {
  const codes: number[] = []
  counts.forEach((count, i) => {
    let rest = i > 2 ? count - (counts[i - 2] as number) : count
    let more = true
    while (more) {
      const piece = rest & 31
      rest >>= 5
      more = piece & 16 ? rest !== -1 : rest !== 0
      codes.push((more ? piece | 32 : piece) + 48)
    }
  })
  return Buffer.from(codes).toString('latin1')
}
