#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
abi=$(bash "$here/pybind11_abi" "$PREFIX" "$SP_DIR")
export CXXFLAGS="${CXXFLAGS:-} $abi"
if [[ ${target_platform:-} == osx-* ]]; then
    export CXXFLAGS="$CXXFLAGS -D_LIBCPP_DISABLE_AVAILABILITY"
fi
# CMAKE_ARGS is conda's, and has many words.
# shellcheck disable=SC2086
cmake ${CMAKE_ARGS:-} -S . -B build/conda -G Ninja -DCMAKE_BUILD_TYPE=Release -DLIB_SUFFIX= \
    -DCMAKE_PREFIX_PATH="$PREFIX" -DCMAKE_INSTALL_PREFIX="$PREFIX" -DPython3_EXECUTABLE="$PYTHON"
cmake --build build/conda -j"${CPU_COUNT:-2}"
ctest --test-dir build/conda --output-on-failure
cmake --install build/conda
