# SPDX-License-Identifier: GPL-3.0-or-later
#
#   docker build -t gr-tsddae .
#   docker run --rm gr-tsddae                                     # make demo
#   docker run --rm -v "$PWD:/data" gr-tsddae tsddae survey /data/capture.cu8 --rate 2.4M
#   docker run --rm --device /dev/bus/usb gr-tsddae rtl_test -t   # a dongle
FROM debian:trixie-slim

# `make setup` installs all else.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates make rtl-sdr \
    && rm -rf /var/lib/apt/lists/*

COPY . /opt/gr-tsddae
WORKDIR /opt/gr-tsddae
ENV PATH=/opt/gr-tsddae/.venv/bin:$PATH PIP_NO_CACHE_DIR=1
RUN make setup \
    && rm -rf /var/lib/apt/lists/* /root/.cache \
    && useradd --create-home --groups plugdev radio \
    && install -d -o radio demo-out

USER radio
CMD ["make", "demo"]
