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
 * The ring allocates its storage once, when it is made: capacity_batches *
 * batch_windows windows, each of window_samples samples (8 bytes each) and one
 * window_info (64 bytes). The storage must not exceed 8 GiB.
 */
struct ring_config {
    int64_t window_samples = 0;   //!< L, at least 1
    int64_t hop_samples = 0;      //!< from one window's start to the next, at least 1;
                                  //!< shorter than L: windows overlap; longer: gaps
    int64_t batch_windows = 1;    //!< windows in a full batch, at least 1
    int64_t capacity_batches = 4; //!< all batches: open, ready and taken; at least 2
    overflow_policy policy = overflow_policy::block;
    //! Windows whose mean |x|^2 (dB re 1.0) is lower are gated; -inf gates none. The
    //! default gates digital silence only, which no receiver's noise ever is.
    double gate_dbfs = -200.0;
    //! A batch that is not full is handed out once its first window is older than this;
    //! inf: never.
    double max_wait_s = std::numeric_limits<double>::infinity();
};

/*!
 * \brief How batches are handed out, within the limits of the ring_config.
 *
 * The pace may change while the ring is in use. So a consumer can trade the cost of a
 * window against its delay as the load changes.
 */
struct ring_pace {
    int64_t batch_windows; //!< windows in a full batch: 1 to those of the ring_config
    double max_wait_s;     //!< as in ring_config
    //! Under overflow_policy::drop_oldest, a ready batch that is older than this is
    //! dropped once a newer batch is ready: its result would be late. inf: never.
    double max_age_s = std::numeric_limits<double>::infinity();
};

/*!
 * \brief Cuts a stream into windows and keeps them in a bounded ring of batches.
 *
 * One thread pushes, any threads take. The ring copies samples straight from the pushed
 * span to their batch. Only a window that straddles two spans passes through a buffer
 * of one window. After construction the ring allocates the small batch handles only.
 *
 * A window never spans a discontinuity. A discontinuity is an rx_time that disagrees
 * with the running clock (see mark_time), a changed rx_freq or rx_rate, a jump in
 * sample numbers, or close(). The ring then flushes the window being filled (see
 * ring_counters), and the next window starts exactly there.
 *
 * A window that holds NaN or Inf is never handed out. It counts as gated.
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

    const ring_config& config() const; //!< as constructed; the gate now: gate_dbfs()

    /* ---- the producer's side: one thread at a time, else std::logic_error ---- */

    /*!
     * \brief Append \p n samples, the first of which has number \p first_sample.
     *
     * Under overflow_policy::block, push() waits while every batch is in use. The wait
     * is a boost interruption point. close() ends the wait.
     *
     * \returns how many samples were taken: less than n only when the ring is closed.
     * After a boost::thread_interrupted, position() tells how many were taken.
     */
    size_t push(uint64_t first_sample, const gr_complex* samples, size_t n);

    //! The number of the sample that is expected next.
    uint64_t position() const;

    /*!
     * \brief The next sample was received at this time.
     *
     * The clock runs from the latest time that was a discontinuity, at the known sample
     * rate. A time that agrees with the clock changes nothing. Any other time is a
     * discontinuity, and the clock starts anew there.
     *
     * A time agrees when it is within 1.5 samples of the clock: a decimator rounds the
     * sample numbers of two tags by up to one sample. It also agrees when it is within
     * 0.5 us: seconds since 1970 in one double have steps of 0.24 us.
     *
     * While no rx_rate is known, the rate is measured from the clock's start to the
     * latest time. So the second time has nothing to agree with and is a discontinuity;
     * so is one time behind each gap. A nominal rate plays no part.
     */
    void mark_time(uint64_t full_s, double frac_s);
    //! The next sample has this centre frequency. The same frequency changes nothing.
    void mark_freq(double freq_hz);
    //! From the next sample on, the sample rate is this. The same rate changes nothing.
    void mark_rate(double rate_hz);
    //! The next sample does not follow the previous one.
    void mark_discontinuity();

    /*!
     * \brief Accept samples again after close().
     *
     * The counters go on. Batches from before close() can still be taken.
     * \param forget_tags time, frequency and rate become unknown
     */
    void reopen(bool forget_tags);

    /* ---- the consumer's side and everybody else: any thread ------------------- */

    /*!
     * \brief Wait for a batch, the oldest first.
     *
     * A full batch is handed out at once. A batch that is not full is handed out when
     * its first window is older than max_wait_s, or when the ring is closed. Several
     * batches may be out at the same time.
     * \param timeout_s how long to wait at most; 0: do not wait; inf: for ever
     * \returns null after the timeout, or when the ring is closed and empty.
     * \throws std::invalid_argument for a negative or NaN timeout.
     * \throws std::bad_alloc without memory for the handle; the batch stays in the ring.
     */
    window_batch::sptr take(double timeout_s);

    //! batch.release(classified). \throws std::logic_error for a batch of another ring.
    void release(window_batch& batch, bool classified);

    //! Drop all complete windows that nobody has taken. \returns their number.
    uint64_t discard_pending();

    //! Accept no more samples: flush the window being filled, make the open batch ready
    //! and wake every thread that waits. Any thread may call it, and more than once.
    void close();

    bool closed() const;
    bool finished() const; //!< closed and nothing left to take

    ring_counters counters() const;

    double gate_dbfs() const;
    //! Effective from the next window on. \throws std::invalid_argument for NaN.
    void set_gate_dbfs(double gate_dbfs);

    ring_pace pace() const; //!< at first the values of the ring_config
    //! Effective at once. \throws std::invalid_argument naming the value and its limits.
    void set_pace(const ring_pace& pace);

private:
    class producer; // holds the lock; only one may exist at a time

    void end_segment();
    double samples_since_time() const;
    void set_time(uint64_t full_s, double frac_s);
    void take_until(uint64_t sample);
    const gr_complex* window_at_start(uint64_t first_sample, const gr_complex* samples);
    void slide(uint64_t first_sample);
    void keep_rest(uint64_t first_sample, const gr_complex* samples, size_t n);

    const std::shared_ptr<batch_store> d_store; // its mutex guards the members below
    const uint64_t d_window;                    // L, samples
    const uint64_t d_hop;                       // H, samples
    bool d_pushing = false;
    uint64_t d_position = 0; // number of the next sample
    uint64_t d_start = 0;    // number of the first sample of the window being filled
    uint64_t d_owned = 0;    // samples taken that this window owns
    double d_gate_dbfs;
    window_info d_info; // of the next window; its rx_time starts the clock
    // (samples / s) from the clock's start to the latest rx_time; NaN: unknown
    double d_measured_rate_hz = std::numeric_limits<double>::quiet_NaN();
    std::vector<gr_complex> d_carry; // (L) a window's samples from earlier spans
};

} // namespace tsddae
} // namespace gr

#endif /* INCLUDED_TSDDAE_WINDOW_RING_H */
