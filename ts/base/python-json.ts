/** A text in quotes, or one of the numbers that Python's json module writes and JSON does not have. */
const NO_JSON_NUMBER = /"(?:[^"\\]|\\.)*"|-?\bInfinity\b|\bNaN\b/g

/**
 * JSON in which NaN, Infinity and -Infinity may stand as well.
 *
 * @param standIn - what they become: null, a text
 * @throws SyntaxError
 * @internal
 */
export function parsePythonJson(text: string, standIn: (number: string) => null | string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    const mended = text.replace(NO_JSON_NUMBER, found =>
      found.startsWith('"') ? found : JSON.stringify(standIn(found)),
    )
    if (mended === text) throw error
    return JSON.parse(mended)
  }
}
