/** `count` calls by `callers` at once; resolves to milliseconds. */
export async function time(count, callers, call) {
  const begun = performance.now()
  let left = count
  await Promise.all(
    Array.from({ length: callers }, async () => {
      while (left-- > 0) await call()
    }),
  )
  return performance.now() - begun
}
