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
 * The block reads the stream tags rx_time (tuple of uint64 and double), rx_freq and
 * rx_rate (double). It ignores other tags, and values of another type. Sample numbers
 * are those of the stream tags. They start at 0 each time the flowgraph starts or goes
 * on after lock() and unlock(). The block then forgets the values of earlier tags.
 *
 * With overflow_policy::block, work() itself waits while the ring is full. Stopping the
 * flowgraph ends that wait, even when nobody ever takes a batch.
 *
 * The message port `drain` never carries a message. A block that consumes the batches
 * connects a message input to `drain`. The scheduler then starts and stops both blocks
 * together, and tells the consumer when the stream has ended, even if no other port of
 * the consumer is connected.
 *
 * The scheduler calls start() of every block of a flowgraph, in any order, before the
 * first work(). A consumer whose thread begins in its own start() must call
 * ring()->reopen() there: else its thread may still find the ring closed by the run
 * before.
 */
class TSDDAE_API window_batcher : virtual public gr::sync_block
{
public:
    typedef std::shared_ptr<window_batcher> sptr;

    //! \throws std::invalid_argument as window_ring does.
    static sptr make(const ring_config& config);

    virtual window_ring::sptr ring() const = 0;

    //! True after the stream ran out by itself. False while it runs, after the user
    //! stopped the flowgraph, and after a consumer closed the ring. The value is set
    //! before the ring is closed, and before the scheduler tells the consumers.
    virtual bool stream_ended() const = 0;

    //! The longest time between two calls of work() in this run of the flowgraph, in
    //! seconds. For a live stream, this is the longest time that it stood still.
    virtual double longest_stall_s() const = 0;
};

} // namespace tsddae
} // namespace gr

#endif /* INCLUDED_TSDDAE_WINDOW_BATCHER_H */
