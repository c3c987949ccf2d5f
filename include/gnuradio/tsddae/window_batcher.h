/* -*- c++ -*- */
/*
 * This file is part of gr-tsddae.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */

#ifndef INCLUDED_TSDDAE_WINDOW_BATCHER_H
#define INCLUDED_TSDDAE_WINDOW_BATCHER_H

#include <gnuradio/sync_block.h>
#include <gnuradio/tsddae/api.h>
#include <gnuradio/tsddae/window_ring.h>
#include <memory>

namespace gr {
namespace tsddae {

/*!
 * \brief A sink for one complex stream that fills a window_ring.
 *
 * It reads the stream tags rx_time (tuple of uint64 and double), rx_freq and rx_rate
 * (double); others, and values of another type, are ignored. Sample numbers are those
 * of the stream tags: they start at 0 each time the flowgraph starts or goes on after
 * lock() and unlock(), and what earlier tags said is forgotten then.
 *
 * With overflow_policy::block, work() itself waits while the ring is full. Stopping
 * the flowgraph ends that wait, even when nobody ever takes a batch.
 *
 * The message port `drain` never carries a message. A block that consumes the batches
 * connects a message input to it: the scheduler then starts and stops that block with
 * this one, and knows that it is finished when this one is, even if no other port of
 * it is connected.
 *
 * All start() calls of a flowgraph return before the first work(), in any order. So a
 * consumer whose worker thread begins in its own start() calls ring()->reopen() there,
 * or it may still see the end of the previous run.
 */
class TSDDAE_API window_batcher : virtual public gr::sync_block
{
public:
    typedef std::shared_ptr<window_batcher> sptr;

    //! \throws std::invalid_argument as window_ring does.
    static sptr make(const ring_config& config);

    virtual window_ring::sptr ring() const = 0;

    //! True after the stream ran out by itself; false while it runs, after the user
    //! stopped the flowgraph, or after the ring was closed by a consumer. Set before
    //! the ring is closed, and before the scheduler tells the consumers at `drain`.
    virtual bool stream_ended() const = 0;

    //! The longest time from one work() of this run of the flowgraph to the next, in
    //! seconds: how long the stream stood still, if it is one that should not.
    virtual double longest_stall_s() const = 0;
};

} // namespace tsddae
} // namespace gr

#endif /* INCLUDED_TSDDAE_WINDOW_BATCHER_H */
