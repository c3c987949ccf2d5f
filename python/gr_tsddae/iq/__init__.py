# SPDX-License-Identifier: GPL-3.0-or-later
"""What a window is and where it comes from: captures on disk, scaling, spectrum.

Import what you need from the submodules; importing this package itself imports nothing else, so
that listing blocks or printing a help text stays quick:

* `gr_tsddae.iq.captures`: open a recording (SigMF, raw IQ, IQ WAV) and read slices of it;
* `gr_tsddae.iq.sigmf.annotations`: write decisions beside a recording as SigMF annotations;
* `gr_tsddae.iq.windows`: cut samples into windows and scale them.
"""
