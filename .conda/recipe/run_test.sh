#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
set -euo pipefail
export QT_QPA_PLATFORM=offscreen
examples=$PREFIX/share/gnuradio/examples/tsddae
out=$(mktemp -d)
for flowgraph in "$examples"/*.grc; do
    grcc -o "$out" "$flowgraph"
done
# grcc ends well where it compiled nothing: count what it wrote.
written=$(find "$out" -name '*.py' | wc -l) flowgraphs=("$examples"/*.grc)
[ "$written" -ge "${#flowgraphs[@]}" ] || { echo "$written of ${#flowgraphs[@]} flowgraphs compiled" >&2; exit 1; }
tsddae survey "$examples/data/fsk-radiosondes.sigmf-meta" --quiet
