/** Electron Forge: `npm run make`. What is unpacked and shipped is the same as in electron-builder.json. */
const { existsSync } = require('node:fs')
const { FuseV1Options, FuseVersion } = require('@electron/fuses')

const libtorch = 'resources/libtorch'
const { APPLE_ID, APPLE_PASSWORD, APPLE_TEAM } = process.env

module.exports = {
  packagerConfig: {
    asar: {
      // Native code cannot open files inside an archive: addons, their libraries, weights.
      unpack: '**/node_modules/{declip-native,@declip-native,sharp,@img}/**',
    },
    extraResource: existsSync(libtorch) ? [libtorch] : [],
    ignore: [
      /^\/(packaging|resources|dist|out)($|\/)/,
      /^\/(forge\.config\.cjs|electron-builder\.json)$/,
    ],
    osxSign: { optionsForFile: () => ({ entitlements: 'packaging/entitlements.mac.plist' }) },
    ...(APPLE_ID && {
      osxNotarize: { appleId: APPLE_ID, appleIdPassword: APPLE_PASSWORD, teamId: APPLE_TEAM },
    }),
  },
  makers: [
    { name: '@electron-forge/maker-zip', platforms: ['darwin', 'win32'] },
    { name: '@electron-forge/maker-deb', platforms: ['linux'] },
  ],
  plugins: [
    {
      name: '@electron-forge/plugin-fuses',
      config: {
        version: FuseVersion.V1,
        // Nothing here runs the application's file as Node; only `declip train --nproc` would.
        [FuseV1Options.RunAsNode]: false,
        [FuseV1Options.EnableNodeOptionsEnvironmentVariable]: false,
        [FuseV1Options.EnableNodeCliInspectArguments]: false,
        [FuseV1Options.OnlyLoadAppFromAsar]: true,
      },
    },
  ],
}
