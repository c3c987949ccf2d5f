/* -*- c++ -*- */
/*
 * This file is part of gr-tsddae.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */

#include <gnuradio/tsddae/overflow_policy.h>
#include <stdexcept>

namespace gr {
namespace tsddae {

std::string overflow_policy_name(overflow_policy policy)
{
    switch (policy) {
    case overflow_policy::block:
        return "block";
    case overflow_policy::drop_oldest:
        return "drop_oldest";
    case overflow_policy::drop_newest:
        return "drop_newest";
    }
    throw std::invalid_argument("unknown overflow policy");
}

overflow_policy overflow_policy_from_name(const std::string& name)
{
    for (const auto policy : { overflow_policy::block,
                               overflow_policy::drop_oldest,
                               overflow_policy::drop_newest }) {
        if (name == overflow_policy_name(policy))
            return policy;
    }
    throw std::invalid_argument("overflow policy '" + name +
                                "' is unknown: use 'block' (nothing is lost, the stream "
                                "waits), 'drop_oldest' or 'drop_newest'");
}

} // namespace tsddae
} // namespace gr
