import { filesUnder, fingerprint } from './common.mjs'

/** Of everything the addon is made of: a prebuilt one that records the same need not be built again. */
export const addonSources = () => fingerprint(filesUnder('cpp', 'binding', 'CMakeLists.txt'))
