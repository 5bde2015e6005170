import { InvalidArgumentError } from 'commander'
import { parseShard, type Shard } from '../base/shard.js'

/** Parses 'i/n'. */
export function shard(text: string): Shard {
  const found = parseShard(text)
  if (found) return found
  throw new InvalidArgumentError("Expected 'i/n' with i from 1 to n, such as '2/4'.")
}
