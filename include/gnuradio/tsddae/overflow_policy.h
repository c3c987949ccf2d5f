/* -*- c++ -*- */
/*
 * This file is part of gr-tsddae.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */

#ifndef INCLUDED_TSDDAE_OVERFLOW_POLICY_H
#define INCLUDED_TSDDAE_OVERFLOW_POLICY_H

#include <gnuradio/tsddae/api.h>
#include <string>

namespace gr {
namespace tsddae {

/*!
 * \brief The fate of a complete window when every batch is in use.
 */
enum class overflow_policy {
    block,       //!< The stream waits for a free batch; nothing is lost. For replay.
    drop_oldest, //!< The oldest batch that nobody has taken is dropped. For live use.
    drop_newest, //!< The new window is dropped. For live use.
};

//! "block", "drop_oldest" or "drop_newest".
TSDDAE_API std::string overflow_policy_name(overflow_policy policy);

//! The policy of that name. \throws std::invalid_argument that lists the names.
TSDDAE_API overflow_policy overflow_policy_from_name(const std::string& name);

} // namespace tsddae
} // namespace gr

#endif /* INCLUDED_TSDDAE_OVERFLOW_POLICY_H */
