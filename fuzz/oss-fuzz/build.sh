#!/bin/bash -eu
# Runs in the builder of OSS-Fuzz and of ClusterFuzzLite, which set SRC and OUT.
cd "$SRC/kho"
npm ci --no-audit --no-fund
node --import tsx fuzz/build/jazzer.ts "$SRC/targets" "$SRC/seeds"

cd "$SRC/targets"
npm install --no-audit --no-fund @jazzer.js/core@2.1.0
for target in *.js; do
  name=${target%.js}
  compile_javascript_fuzzer targets "$target" --sync
  zip -q -r -j "$OUT/${name}_seed_corpus.zip" "$SRC/seeds/$name"
done
