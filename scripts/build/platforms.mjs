/** The platforms that have packages of their own, and what npm calls their parts. */

/** The scope of the platform packages. */
export const SCOPE = '@declip-native'

/** Raised when LibTorch's packages change though LibTorch does not: 2.13.0-1 is the first of them. */
export const LIBTORCH_PACKING = 0

/** By name: the fields by which npm leaves a package out elsewhere. LibTorch has no musl build. */
export const PLATFORMS = {
  'linux-x64': { os: ['linux'], cpu: ['x64'], libc: ['glibc'] },
  'linux-arm64': { os: ['linux'], cpu: ['arm64'], libc: ['glibc'] },
  'darwin-arm64': { os: ['darwin'], cpu: ['arm64'] },
  'win32-x64': { os: ['win32'], cpu: ['x64'] },
}

/** This machine's name among PLATFORMS; one that is not there has no packages. */
export function platformName() {
  const { platform, arch } = process
  const musl = platform === 'linux' && !process.report.getReport().header.glibcVersionRuntime
  return `${platform}-${arch}${musl ? '-musl' : ''}`
}
