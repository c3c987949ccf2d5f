/* -*- c++ -*- */
/*
 * This file is part of gr-tsddae.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */

#ifndef INCLUDED_TSDDAE_BATCH_STORE_H
#define INCLUDED_TSDDAE_BATCH_STORE_H

#include <gnuradio/gr_complex.h>
#include <gnuradio/thread/thread.h>
#include <gnuradio/tsddae/overflow_policy.h>
#include <gnuradio/tsddae/ring_counters.h>
#include <gnuradio/tsddae/window_info.h>
#include <gnuradio/tsddae/window_ring.h>
#include <condition_variable>
#include <chrono>
#include <memory>
#include <optional>
#include <vector>

namespace gr {
namespace tsddae {

/*!
 * \brief The storage of a window_ring: its batches, its counters, the lock on both.
 *
 * Each batch is free, open (being filled; at most one), ready, or taken:
 *
 *     free -> open -> ready -> taken -> free        (ready -> free when dropped)
 *
 * It is shared by the ring and by every batch in a consumer's hands. Every method
 * expects \p mutex to be held.
 */
class batch_store
{
public:
    struct stored_batch {
        gr_complex* samples;           // (B, L), aligned to 64 bytes
        std::vector<window_info> info; // (B)
        size_t windows;                // how many of the B are filled
        uint64_t samples_owned;        // what these windows own, see ring_counters
        std::chrono::steady_clock::time_point opened_at; // when it got its first window
    };

    explicit batch_store(const ring_config& config); //!< validates it

    mutable gr::thread::mutex mutex;
    const ring_config config;
    ring_counters counters;
    bool closed = false;
    ring_pace pace; // change it by set_pace()

    //! \throws std::invalid_argument
    void set_pace(const ring_pace& pace);

    /* the producer's side */

    //! A batch with room for a window exists now, or could be had under the policy.
    //! Under overflow_policy::block, waits for it. False: closed, or drop the window.
    bool make_room(gr::thread::scoped_lock& lock);

    //! Copy a window to the room that make_room() found.
    void put(const gr_complex* samples, const window_info& info, uint64_t samples_owned);

    //! The open batch is handed out as it is.
    void close_open_batch();

    //! Wake everybody, for a reason that is not a full or a free batch.
    void notify_all();

    /* the consumer's side */

    std::optional<size_t> take(gr::thread::scoped_lock& lock, double timeout_s);
    void release(size_t index, bool classified);
    uint64_t discard();

    size_t ready() const { return d_ready.size(); }
    bool empty() const { return d_ready.empty() && !d_open; }
    const stored_batch& at(size_t index) const { return d_batches[index]; }

private:
    using clock = std::chrono::steady_clock;

    struct aligned_delete {
        void operator()(gr_complex* samples) const;
    };

    void drop_oldest_ready();
    void drop_stale(clock::time_point now);
    void free_batch(size_t index);

    std::unique_ptr<gr_complex[], aligned_delete> d_samples;
    std::vector<stored_batch> d_batches;
    std::vector<size_t> d_free;  // indices into d_batches; reserved, so they never
    std::vector<size_t> d_ready; // allocate; oldest first
    std::optional<size_t> d_open;

    gr::thread::condition_variable d_room; // boost's: an interruption point for tb.stop()
    std::condition_variable_any d_news;    // std's: consumers wait on the steady clock
};

} // namespace tsddae
} // namespace gr

#endif /* INCLUDED_TSDDAE_BATCH_STORE_H */
