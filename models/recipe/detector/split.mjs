/**
 * The concepts that the small detector learns (base) and those that it is only asked for (novel).
 *
 * Every fourth concept is novel. The list goes by kind - animals, plants, food, vehicles, things - so either part has
 * some of every kind, and nobody picked what is easy. OV-COCO keeps 17 of 65 back, LVIS 337 of 1203: about as many.
 */
import { CONCEPTS } from '../art/concepts.mjs'

/** @param {number} concept index into CONCEPTS */
export const isNovel = concept => concept % 4 === 3

const namesOf = (/** @type {(concept: number) => boolean} */ has) =>
  CONCEPTS.flatMap(({ name }, concept) => (has(concept) ? [name] : []))

/** 68 names. */
export const BASE = namesOf(concept => !isNovel(concept))
/** 22 names. */
export const NOVEL = namesOf(isNovel)
