#!/bin/sh
# Builds the modules of the C sources, and their text that is checked in. Needs clang, wasm-ld and wabt.
set -eu
cd "$(dirname "$0")"
for name in functions word_count; do
    clang --target=wasm32 -std=c11 -O2 -ffreestanding -fno-builtin -mbulk-memory -nostdlib \
        -Wall -Wextra -Wno-unused-parameter -Wno-unused-function -Wno-missing-field-initializers \
        -Wl,--no-entry -Wl,--strip-all -Wl,-z,stack-size=65536 -Wl,--stack-first \
        -o "$name.wasm" "$name.c"
    wasm2wat "$name.wasm" -o "$name.wat"
done
