#!/bin/sh
# Stands in for node-gyp under prebuildify: scripts/build/prebuild.mjs has built the addon already.
exit 0
