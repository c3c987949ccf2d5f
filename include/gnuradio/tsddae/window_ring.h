/* -*- c++ -*- */
/*
 * This file is part of gr-tsddae.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */

#ifndef INCLUDED_TSDDAE_WINDOW_RING_H
#define INCLUDED_TSDDAE_WINDOW_RING_H

#include <gnuradio/gr_complex.h>
#include <gnuradio/tsddae/api.h>
#include <gnuradio/tsddae/overflow_policy.h>
#include <gnuradio/tsddae/ring_counters.h>
#include <gnuradio/tsddae/window_batch.h>
#include <gnuradio/tsddae/window_info.h>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

namespace gr {
namespace tsddae {

/*!
 * \brief How a stream is cut and how many batches may exist.
 *
 * Storage for capacity_batches * batch_windows * window_samples samples (8 bytes
 * each) is allocated once, when the ring is made; it must not exceed 8 GiB.
 */
struct ring_config {
    int64_t window_samples = 0;   //!< L, at least 1
    int64_t hop_samples = 0;      //!< from one window's start to the next, at least 1;
                                  //!< shorter than L: windows overlap; longer: gaps
    int64_t batch_windows = 1;    //!< windows in a full batch, at least 1
    int64_t capacity_batches = 4; //!< batches in all, filling, waiting and taken; >= 2
    overflow_policy policy = overflow_policy::block;
    //! windows whose mean |x|^2 in dB re 1.0 lies below are gated; -inf: none
    double gate_dbfs = -std::numeric_limits<double>::infinity();
    //! a batch that is not full is handed out once its first window is older; inf: never
    double max_wait_s = std::numeric_limits<double>::infinity();
};

/*!
 * \brief How batches are handed out, within what the ring was made for.
 *
 * It may change while the ring is in use, so that a consumer can trade the cost of a
 * window against its delay as the load changes.
 */
struct ring_pace {
    int64_t batch_windows; //!< a batch is full with so many; 1 to the ring's own
    double max_wait_s;     //!< as in ring_config
    //! Under overflow_policy::drop_oldest a waiting batch that is older is dropped as
    //! soon as a newer one is complete: its result would be late. inf: never.
    double max_age_s = std::numeric_limits<double>::infinity();
};

/*!
 * \brief Cuts a stream into windows and keeps them in a bounded ring of batches.
 *
 * One thread pushes, any threads take. Samples go straight from the pushed span to
 * their batch; only windows that straddle two spans pass through a buffer of one
 * window. Nothing is allocated after construction but the small batch handles.
 *
 * A window never spans a discontinuity: an rx_time, a changed rx_freq or rx_rate, a
 * jump in sample numbers, or close(). The window being filled is flushed then (see
 * ring_counters) and the next one starts exactly there.
 *
 * Windows with NaN or Inf in them are never handed out; they count as gated.
 */
class TSDDAE_API window_ring
{
public:
    typedef std::shared_ptr<window_ring> sptr;

    //! \throws std::invalid_argument naming the value, its limits and the remedy.
    explicit window_ring(const ring_config& config);
    ~window_ring(); //!< closes the ring; batches in consumers' hands stay valid
    window_ring(const window_ring&) = delete;
    window_ring& operator=(const window_ring&) = delete;

    const ring_config& config() const; //!< as constructed; for the gate see gate_dbfs()

    /* ---- the producer's side: one thread at a time, else std::logic_error ---- */

    /*!
     * \brief Append \p n samples, the first of which has number \p first_sample.
     *
     * Under overflow_policy::block this waits while every batch is in use. The wait
     * is a boost interruption point. close() ends it.
     *
     * \returns how many samples were taken: less than n only when the ring is closed.
     * After a boost::thread_interrupted, position() tells how far it came.
     */
    size_t push(uint64_t first_sample, const gr_complex* samples, size_t n);

    //! The number of the sample that is expected next.
    uint64_t position() const;

    //! The next sample was received at this time. Always a discontinuity.
    void mark_time(uint64_t full_s, double frac_s);
    //! From the next sample on the centre frequency is this. No news is no change.
    void mark_freq(double freq_hz);
    //! From the next sample on the sample rate is this. No news is no change.
    void mark_rate(double rate_hz);
    //! The next sample does not follow the previous one.
    void mark_discontinuity();

    /*!
     * \brief Accept samples again after close().
     *
     * Counters go on, batches from before can still be taken.
     * \param forget_tags time, frequency and rate are unknown again
     */
    void reopen(bool forget_tags);

    /* ---- the consumer's side and everybody else: any thread ------------------- */

    /*!
     * \brief Wait for a batch, the oldest first.
     *
     * A full batch is handed out at once, one that is not full when its first window
     * is older than max_wait_s or when the ring is closed. Several batches may be out
     * at the same time.
     * \param timeout_s how long to wait at most; 0: do not wait; inf: for ever
     * \returns null after the timeout, or when the ring is closed and empty.
     * \throws std::invalid_argument for a negative or NaN timeout.
     */
    window_batch::sptr take(double timeout_s);

    //! batch.release(classified). \throws std::logic_error if it is another ring's.
    void release(window_batch& batch, bool classified);

    //! Give up all windows that nobody has taken; they count as dropped.
    //! \returns how many windows that were
    uint64_t discard_pending();

    //! No more samples: flushes the window being filled, makes the last batch ready,
    //! wakes all who wait. May be called by anyone, and more than once.
    void close();

    bool closed() const;
    bool finished() const; //!< closed and nothing left to take

    ring_counters counters() const;

    double gate_dbfs() const;
    //! From the next window on. \throws std::invalid_argument for NaN.
    void set_gate_dbfs(double gate_dbfs);

    ring_pace pace() const; //!< at first what the ring was made with
    //! From now on. \throws std::invalid_argument naming the value and its limits.
    void set_pace(const ring_pace& pace);

private:
    class producer; // holds the lock, and is the only one, while it exists

    void end_segment();
    void take_until(uint64_t sample);
    const gr_complex* window_at_start(uint64_t first_sample, const gr_complex* samples);
    void slide(uint64_t first_sample);
    void keep_rest(uint64_t first_sample, const gr_complex* samples, size_t n);

    const std::shared_ptr<batch_store> d_store; // its mutex guards all that follows
    const uint64_t d_window;                    // L, samples
    const uint64_t d_hop;                       // H, samples
    bool d_pushing = false;
    uint64_t d_position = 0; // number of the next sample
    uint64_t d_start = 0;    // number of the first sample of the window being filled
    uint64_t d_owned = 0;    // samples taken that this window owns
    double d_gate_dbfs;
    window_info d_info;              // what the tags said last
    std::vector<gr_complex> d_carry; // (L) a window's samples from earlier spans
};

} // namespace tsddae
} // namespace gr

#endif /* INCLUDED_TSDDAE_WINDOW_RING_H */
