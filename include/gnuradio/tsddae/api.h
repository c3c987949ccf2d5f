/* -*- c++ -*- */
/*
 * This file is part of gr-tsddae.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */

#ifndef INCLUDED_TSDDAE_API_H
#define INCLUDED_TSDDAE_API_H

#include <gnuradio/attributes.h>

#ifdef gnuradio_tsddae_EXPORTS
#define TSDDAE_API __GR_ATTR_EXPORT
#else
#define TSDDAE_API __GR_ATTR_IMPORT
#endif

#endif /* INCLUDED_TSDDAE_API_H */
