# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings on disk, and the windows that are cut from them.

Import from the submodules. This package itself imports nothing, so that listing blocks or printing
a help text stays quick:

* `gr_tsddae.iq.captures`: open a recording (SigMF, raw IQ, IQ WAV, GNU Radio file-meta);
* `gr_tsddae.iq.formats`: one file for each format, and the capture that they give;
* `gr_tsddae.iq.sigmf.annotations`: write decisions beside a recording as SigMF annotations;
* `gr_tsddae.iq.windows`: cut samples into windows and scale them.
"""
