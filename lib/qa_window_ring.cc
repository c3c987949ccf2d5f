/* -*- c++ -*- */
/*
 * This file is part of gr-tsddae.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */

#include <gnuradio/thread/thread.h>
#include <gnuradio/tsddae/window_ring.h>
#include <boost/test/unit_test.hpp>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <new>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace gr::tsddae;
using namespace std::chrono_literals;

/* ---- allocations of this thread, to see that pushing makes none ---------------- */

static thread_local size_t allocations = 0;

// Not inlined, or the compiler takes malloc() with delete for a mistake.
#define NOINLINE __attribute__((noinline))
NOINLINE void* operator new(size_t size)
{
    allocations++;
    if (void* memory = std::malloc(size))
        return memory;
    throw std::bad_alloc();
}
NOINLINE void operator delete(void* memory) noexcept { std::free(memory); }
NOINLINE void operator delete(void* memory, size_t) noexcept { std::free(memory); }

/* ---- helpers -------------------------------------------------------------------- */

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

ring_config config(int64_t window_samples,
                   int64_t hop_samples,
                   int64_t batch_windows = 1,
                   int64_t capacity_batches = 64,
                   overflow_policy policy = overflow_policy::block)
{
    ring_config c;
    c.window_samples = window_samples;
    c.hop_samples = hop_samples;
    c.batch_windows = batch_windows;
    c.capacity_batches = capacity_batches;
    c.policy = policy;
    return c;
}

//! Sample number k is k + 1: a window tells which samples it holds, and none is silent.
std::vector<gr_complex> ramp(size_t n, uint64_t first = 0)
{
    std::vector<gr_complex> samples(n);
    for (size_t k = 0; k < n; k++)
        samples[k] = gr_complex(first + k + 1, 0);
    return samples;
}

bool adds_up(const ring_counters& c)
{
    return c.samples_in == c.samples_classified + c.samples_gated + c.samples_dropped +
                               c.samples_flushed + c.samples_pending &&
           c.windows_in == c.windows_classified + c.windows_gated + c.windows_dropped +
                               c.windows_pending;
}

//! Takes everything there is; returns the first sample numbers after a look at all.
std::vector<uint64_t> take_all(window_ring& ring)
{
    std::vector<uint64_t> starts;
    while (const auto batch = ring.take(0.0)) {
        for (size_t w = 0; w < batch->windows(); w++) {
            const uint64_t start = batch->info()[w].first_sample;
            const gr_complex* window = batch->samples() + w * batch->window_samples();
            for (size_t k = 0; k < batch->window_samples(); k++)
                BOOST_REQUIRE_EQUAL(window[k].real(), start + k + 1);
            starts.push_back(start);
        }
        batch->release(true);
    }
    return starts;
}

std::string message_of(const ring_config& c)
{
    try {
        window_ring ring(c);
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
    return "";
}

bool contains(const std::string& text, const std::string& part)
{
    return text.find(part) != std::string::npos;
}

} // namespace

/* ---- cutting -------------------------------------------------------------------- */

BOOST_AUTO_TEST_CASE(any_chunking_any_hop_gives_the_same_windows)
{
    std::mt19937 random(1);
    const auto up_to = [&](int highest) {
        return std::uniform_int_distribution<int>(0, highest)(random);
    };
    for (int trial = 0; trial < 2000; trial++) {
        const uint64_t length = 1 + up_to(12);
        const uint64_t hop = 1 + up_to(20);
        const uint64_t total = up_to(120);
        const auto samples = ramp(total);
        std::vector<bool> cut(total + 1); // a discontinuity in front of this sample
        for (int i = up_to(3); i > 0; i--)
            cut[up_to(total)] = true;

        std::vector<uint64_t> expected;
        uint64_t flushed = 0;
        for (uint64_t begin = 0, end; begin < total; begin = end) {
            for (end = begin + 1; end < total && !cut[end];)
                end++;
            std::vector<bool> covered(end - begin);
            for (uint64_t start = begin; start + length <= end; start += hop) {
                expected.push_back(start);
                for (uint64_t k = 0; k < length; k++)
                    covered[start - begin + k] = true;
            }
            for (const bool in_window : covered)
                flushed += !in_window;
        }

        window_ring ring(config(length, hop, 1 + up_to(3), 128));
        for (uint64_t at = 0; at < total;) {
            if (cut[at])
                ring.mark_discontinuity();
            uint64_t end = std::min<uint64_t>(total, at + up_to(30));
            for (uint64_t k = at + 1; k < end; k++) {
                if (cut[k])
                    end = k;
            }
            BOOST_REQUIRE_EQUAL(ring.push(at, samples.data() + at, end - at), end - at);
            at = end;
            BOOST_REQUIRE_EQUAL(ring.position(), at);
            BOOST_REQUIRE_EQUAL(ring.counters().samples_in, at);
            BOOST_REQUIRE(adds_up(ring.counters()));
        }
        ring.close();
        BOOST_REQUIRE(take_all(ring) == expected);
        const ring_counters counters = ring.counters();
        BOOST_REQUIRE(adds_up(counters));
        BOOST_REQUIRE_EQUAL(counters.samples_flushed, flushed);
        BOOST_REQUIRE_EQUAL(counters.samples_classified, total - flushed);
        BOOST_REQUIRE_EQUAL(counters.windows_classified, expected.size());
        BOOST_REQUIRE(ring.finished());
    }
}

BOOST_AUTO_TEST_CASE(a_gap_between_windows_is_flushed_as_it_arrives)
{
    window_ring ring(config(4, 10));
    const auto samples = ramp(12);
    ring.push(0, samples.data(), 7);
    BOOST_TEST(ring.counters().samples_flushed == 3u);
    ring.push(7, samples.data() + 7, 5);
    BOOST_TEST(ring.counters().samples_flushed == 6u);
    BOOST_TEST(ring.counters().samples_pending == 4u + 2u);
}

BOOST_AUTO_TEST_CASE(a_jump_in_sample_numbers_is_a_discontinuity)
{
    window_ring ring(config(4, 4));
    ring.push(0, ramp(6).data(), 6);
    ring.push(100, ramp(6, 100).data(), 6);
    ring.close();
    BOOST_TEST((take_all(ring) == std::vector<uint64_t>{ 0, 100 }));
    BOOST_TEST(ring.counters().samples_flushed == 4u);
}

BOOST_AUTO_TEST_CASE(only_a_change_of_frequency_or_rate_cuts_but_every_time_does)
{
    const auto samples = ramp(100);
    window_ring ring(config(4, 4));
    uint64_t at = 0;
    const auto push = [&](uint64_t n) { at += ring.push(at, samples.data() + at, n); };
    const auto flushed = [&] { return ring.counters().samples_flushed; };

    ring.mark_freq(1e6); // nothing was there to be cut
    ring.mark_rate(2e6);
    ring.mark_time(5, 0.5);
    push(3);
    BOOST_TEST(flushed() == 0u);
    ring.mark_freq(1e6);
    ring.mark_rate(2e6);
    push(3);
    BOOST_TEST(flushed() == 0u);
    ring.mark_freq(3e6);
    BOOST_TEST(flushed() == 2u);
    ring.mark_rate(4e6); // at the same sample: one discontinuity
    ring.mark_time(6, 0.25);
    BOOST_TEST(flushed() == 2u);
    push(5);
    ring.mark_time(6, 0.25);
    BOOST_TEST(flushed() == 3u);
    ring.mark_rate(5e6);
    push(3);
    ring.mark_rate(6e6);
    BOOST_TEST(flushed() == 6u);
    ring.close();

    const auto first = ring.take(0.0);
    BOOST_REQUIRE(first);
    BOOST_TEST(first->info()->first_sample == 0u);
    BOOST_TEST(first->info()->has_time == 1);
    BOOST_TEST(first->info()->rx_time_full_s == 5u);
    BOOST_TEST(first->info()->rx_time_frac_s == 0.5);
    BOOST_TEST(first->info()->rx_time_sample == 0u);
    BOOST_TEST(first->info()->rx_freq_hz == 1e6);
    BOOST_TEST(first->info()->rx_rate_hz == 2e6);
    const auto second = ring.take(0.0);
    BOOST_REQUIRE(second);
    BOOST_TEST(second->info()->first_sample == 6u);
    BOOST_TEST(second->info()->rx_time_full_s == 6u);
    BOOST_TEST(second->info()->rx_time_sample == 6u);
    BOOST_TEST(second->info()->rx_freq_hz == 3e6);
    BOOST_TEST(second->info()->rx_rate_hz == 4e6);
    BOOST_TEST(!ring.take(0.0));
}

BOOST_AUTO_TEST_CASE(the_first_known_frequency_is_a_change)
{
    window_ring ring(config(4, 4));
    ring.push(0, ramp(3).data(), 3);
    ring.mark_freq(1e6);
    BOOST_TEST(ring.counters().samples_flushed == 3u);
}

/* ---- the gate ------------------------------------------------------------------- */

BOOST_AUTO_TEST_CASE(weak_and_not_finite_windows_are_gated)
{
    const float nan = std::nanf("");
    std::vector<gr_complex> samples = {
        { 1, 0 },         { 0, 1 },                       // 0 dBFS
        { 0.1f, 0 },      { 0, 0.1f },                    // -20 dBFS
        { nan, 0 },       { 1, 0 },                       //
        { 1, 0 },         { 0, static_cast<float>(inf) }, //
        { 3e38f, 3e38f }, { 0, 0 }, // finite, though its square is no float
        { 0, 0 },         { 0, 0 }, // silence
    };
    window_ring ring(config(2, 2));
    const auto push = [&] { ring.push(ring.position(), samples.data(), samples.size()); };

    push();
    ring_counters c = ring.counters();
    BOOST_TEST(c.windows_in == 6u);
    BOOST_TEST(c.windows_gated == 2u); // without a gate only what is not finite
    BOOST_TEST(c.windows_nonfinite == 2u);
    BOOST_TEST(c.samples_gated == 4u);
    BOOST_TEST(std::abs(ring.take(0.0)->info()->power_dbfs) < 1e-6);
    BOOST_TEST(std::abs(ring.take(0.0)->info()->power_dbfs + 20) < 1e-5);
    BOOST_TEST(std::isfinite(ring.take(0.0)->info()->power_dbfs));
    BOOST_TEST(ring.take(0.0)->info()->power_dbfs == -inf);

    ring.set_gate_dbfs(-10.0);
    BOOST_TEST(ring.gate_dbfs() == -10.0);
    push();
    c = ring.counters();
    BOOST_TEST(c.windows_gated == 2u + 4u);
    BOOST_TEST(c.windows_nonfinite == 4u);
    BOOST_TEST(adds_up(c));
    BOOST_CHECK_THROW(ring.set_gate_dbfs(std::nan("")), std::invalid_argument);
}

/* ---- batches and policies ------------------------------------------------------- */

BOOST_AUTO_TEST_CASE(drop_oldest_gives_up_what_nobody_has_taken)
{
    window_ring ring(config(2, 2, 1, 2, overflow_policy::drop_oldest));
    const auto samples = ramp(20);
    ring.push(0, samples.data(), 4); // windows 0, 2: all batches in use
    const auto held = ring.take(0.0);
    BOOST_TEST(held->info()->first_sample == 0u);
    ring.push(4, samples.data() + 4, 4); // windows 4, 6: each pushes the one before out
    BOOST_TEST(ring.counters().windows_dropped == 2u);
    BOOST_TEST(held->samples()[0].real() == 1.0f); // the consumer's is not touched
    const auto second = ring.take(0.0);
    BOOST_TEST(second->info()->first_sample == 6u);
    ring.push(
        8, samples.data() + 8, 2); // the consumer holds everything: the new one goes
    BOOST_TEST(ring.counters().windows_dropped == 3u);
    BOOST_TEST(ring.counters().batches_taken == 2u);
    BOOST_TEST(adds_up(ring.counters()));
}

BOOST_AUTO_TEST_CASE(drop_newest_keeps_what_it_has)
{
    window_ring ring(config(2, 1, 2, 2, overflow_policy::drop_newest));
    ring.push(0, ramp(20).data(), 20);
    ring.close();
    BOOST_TEST((take_all(ring) == std::vector<uint64_t>{ 0, 1, 2, 3 }));
    const ring_counters c = ring.counters();
    BOOST_TEST(c.samples_classified == 2u + 3u);
    BOOST_TEST(c.samples_dropped == 15u); // overlapping windows own one sample each
    BOOST_TEST(c.windows_dropped == 15u);
}

BOOST_AUTO_TEST_CASE(block_waits_for_a_batch)
{
    window_ring ring(config(2, 2, 1, 2));
    const auto samples = ramp(100);
    std::atomic<bool> pushed{ false };
    std::thread producer([&] {
        ring.push(0, samples.data(), samples.size());
        pushed = true;
    });
    std::vector<uint64_t> starts;
    while (starts.size() < 48) { // with two windows left, all fit in
        BOOST_TEST(!pushed);
        const auto batch = ring.take(60.0);
        BOOST_REQUIRE(batch);
        starts.push_back(batch->info()->first_sample);
        BOOST_TEST(adds_up(ring.counters()));
        BOOST_TEST(ring.counters().windows_pending <= 2u);
        ring.release(*batch, true);
    }
    producer.join();
    ring.close();
    for (const uint64_t start : take_all(ring))
        starts.push_back(start);
    for (size_t i = 0; i < 50; i++)
        BOOST_TEST(starts.at(i) == 2 * i);
    BOOST_TEST(ring.counters().samples_classified == 100u);
}

BOOST_AUTO_TEST_CASE(close_ends_a_blocked_push)
{
    window_ring ring(config(4, 2, 1, 2));
    const auto samples = ramp(100);
    size_t taken = 0;
    std::thread producer([&] { taken = ring.push(0, samples.data(), samples.size()); });
    while (ring.counters().windows_in < 2)
        std::this_thread::sleep_for(1ms);
    ring.close();
    producer.join();
    BOOST_TEST(taken == 6u); // two windows
    BOOST_TEST(ring.counters().samples_in == 6u);
    BOOST_TEST(ring.counters().samples_flushed == 0u);
    BOOST_TEST(adds_up(ring.counters()));
    BOOST_TEST(ring.push(6, samples.data(), 10) == 0u);
    BOOST_TEST((take_all(ring) == std::vector<uint64_t>{ 0, 2 }));
    BOOST_TEST(ring.finished());
}

BOOST_AUTO_TEST_CASE(an_interrupted_push_can_be_continued)
{
    for (const int hop : { 1, 3, 4, 7 }) {
        window_ring ring(config(4, hop, 1, 2));
        const auto samples = ramp(60);
        std::vector<uint64_t> expected;
        for (uint64_t start = 0; start + 4 <= 60; start += hop)
            expected.push_back(start);

        std::vector<uint64_t> starts;
        int interruptions = 0;
        while (ring.position() < 60) {
            bool interrupted = false;
            gr::thread::thread producer([&] {
                try {
                    const uint64_t at = ring.position();
                    ring.push(at, samples.data() + at, 60 - at);
                } catch (const boost::thread_interrupted&) {
                    interrupted = true;
                }
            });
            std::this_thread::sleep_for(2ms);
            producer.interrupt();
            producer.join();
            interruptions += interrupted;
            BOOST_TEST(adds_up(ring.counters()));
            BOOST_TEST(ring.counters().samples_in == ring.position());
            for (const uint64_t start : take_all(ring))
                starts.push_back(start);
        }
        BOOST_TEST(interruptions > 1);
        BOOST_TEST(starts == expected);
    }
}

BOOST_AUTO_TEST_CASE(a_batch_that_is_not_full_comes_after_max_wait)
{
    ring_config c = config(2, 2, 10, 2);
    window_ring by_count(c);
    c.max_wait_s = 0.05;
    window_ring by_time(c);
    const auto samples = ramp(6);
    by_count.push(0, samples.data(), 6);
    by_time.push(0, samples.data(), 6);

    BOOST_TEST(!by_count.take(0.2));
    by_count.close();
    BOOST_TEST(by_count.take(0.0)->windows() == 3u);

    const auto batch = by_time.take(60.0);
    BOOST_REQUIRE(batch);
    BOOST_TEST(batch->windows() == 3u);

    c.max_wait_s = 600.0;
    window_ring young(c);
    young.push(0, samples.data(), 6);
    BOOST_TEST(!young.take(0.0));
}

BOOST_AUTO_TEST_CASE(a_consumer_that_waits_already_learns_of_max_wait)
{
    ring_config c = config(2, 2, 10, 2);
    c.max_wait_s = 0.02;
    window_ring ring(c);
    const auto samples = ramp(6);
    std::thread producer([&] {
        std::this_thread::sleep_for(50ms);
        ring.push(0, samples.data(), 6);
    });
    BOOST_TEST(ring.take(1e6)); // or ctest's time limit strikes
    producer.join();
}

/* ---- pace ------------------------------------------------------------------------ */

BOOST_AUTO_TEST_CASE(a_batch_is_full_with_as_many_windows_as_the_pace_says)
{
    window_ring ring(config(4, 4, 8));
    const auto samples = ramp(4 * 40);
    ring.push(0, samples.data(), 4 * 5);
    BOOST_TEST(!ring.take(0.0)); // 5 of 8
    ring.set_pace({ 3, inf });   // the open batch has them already
    BOOST_TEST(ring.take(0.0)->windows() == 5u);
    ring.push(4 * 5, samples.data() + 4 * 5, 4 * 7);
    BOOST_TEST(ring.take(0.0)->windows() == 3u);
    BOOST_TEST(ring.take(0.0)->windows() == 3u);
    BOOST_TEST(!ring.take(0.0));
    ring.set_pace({ 8, inf });
    ring.push(4 * 12, samples.data() + 4 * 12, 4 * 7);
    BOOST_TEST(ring.take(0.0)->windows() == 8u);
    BOOST_TEST(adds_up(ring.counters()));
}

BOOST_AUTO_TEST_CASE(a_consumer_that_waits_learns_of_a_shorter_wait)
{
    window_ring ring(config(4, 4, 8));
    const auto samples = ramp(4);
    ring.push(0, samples.data(), 4);
    std::thread other([&] {
        std::this_thread::sleep_for(20ms);
        ring.set_pace({ 8, 0.01 });
    });
    const auto batch = ring.take(60.0); // not before the pace: the batch is not full
    other.join();
    BOOST_REQUIRE(batch);
    BOOST_TEST(batch->windows() == 1u);
    BOOST_TEST(batch->age_s() >= 0.01);
}

BOOST_AUTO_TEST_CASE(what_would_be_late_is_dropped_but_never_the_newest)
{
    const auto samples = ramp(4 * 3);
    for (const auto policy : { overflow_policy::drop_oldest,
                               overflow_policy::drop_newest,
                               overflow_policy::block }) {
        window_ring ring(config(4, 4, 1, 8, policy));
        ring.set_pace({ 1, inf, 0.01 });
        ring.push(0, samples.data(), 4 * 3);
        std::this_thread::sleep_for(20ms);
        const bool drops = policy == overflow_policy::drop_oldest;
        BOOST_TEST(ring.take(0.0)->info()->first_sample == (drops ? 8u : 0u));
        BOOST_TEST(ring.counters().windows_dropped ==
                   (drops ? 3u : 1u)); // and the handle
        BOOST_TEST(adds_up(ring.counters()));
    }
}

BOOST_AUTO_TEST_CASE(the_backlog_of_an_ended_stream_is_not_late)
{
    window_ring ring(config(4, 4, 1, 8, overflow_policy::drop_oldest));
    ring.set_pace({ 1, inf, 0.0 });
    const auto samples = ramp(4 * 3);
    ring.push(0, samples.data(), 4 * 3);
    ring.close();
    std::this_thread::sleep_for(1ms);
    BOOST_TEST(take_all(ring).size() == 3u);
}

BOOST_AUTO_TEST_CASE(a_pace_beyond_the_ring_is_refused)
{
    window_ring ring(config(4, 4, 8));
    for (const ring_pace& bad : { ring_pace{ 0, inf },
                                  ring_pace{ 9, inf },
                                  ring_pace{ 8, -1.0 },
                                  ring_pace{ 8, std::nan("") },
                                  ring_pace{ 8, inf, std::nan("") } })
        BOOST_CHECK_THROW(ring.set_pace(bad), std::invalid_argument);
    BOOST_TEST(ring.pace().batch_windows == 8);
}

BOOST_AUTO_TEST_CASE(power_is_right_for_floats_of_any_size_and_windows_of_any_length)
{
    for (const float level : { 1e-30f, 1e-3f, 1.0f, 1e30f }) {
        for (const size_t length : { 1, 7, 128, 4096, 10001 }) {
            window_ring ring(config(length, length, 1, 2));
            // One sample in front: vector instructions meet an odd address.
            std::vector<gr_complex> samples(length + 1, gr_complex(0.6f, -0.8f) * level);
            ring.push(0, samples.data() + 1, length);
            const double wanted = 20.0 * std::log10(double(level));
            BOOST_TEST(std::abs(ring.take(0.0)->info()->power_dbfs - wanted) < 1e-4);
        }
    }
}

BOOST_AUTO_TEST_CASE(pending_windows_can_be_given_up)
{
    window_ring ring(config(2, 2, 2, 8));
    const auto samples = ramp(15);
    ring.push(0, samples.data(), 15);
    const auto held = ring.take(0.0);
    BOOST_TEST(ring.discard_pending() == 5u);
    BOOST_TEST(ring.counters().samples_dropped == 10u);
    BOOST_TEST(ring.counters().samples_pending == 4u + 1u);
    BOOST_TEST(adds_up(ring.counters()));
    BOOST_TEST(!ring.take(0.0));
}

/* ---- handles -------------------------------------------------------------------- */

BOOST_AUTO_TEST_CASE(a_forgotten_batch_counts_as_dropped)
{
    window_ring ring(config(2, 2, 1, 2));
    const auto samples = ramp(8);
    for (int i = 0; i < 4; i++) { // twice the capacity: a leak would make this wait
        ring.push(2 * i, samples.data() + 2 * i, 2);
        ring.take(0.0).reset();
    }
    BOOST_TEST(ring.counters().windows_dropped == 4u);
    BOOST_TEST(ring.counters().samples_pending == 0u);
}

BOOST_AUTO_TEST_CASE(a_batch_outlives_its_ring)
{
    auto ring = std::make_unique<window_ring>(config(2, 2));
    ring->push(0, ramp(2).data(), 2);
    const auto batch = ring->take(0.0);
    ring.reset();
    BOOST_TEST(batch->samples()[1].real() == 2.0f);
    batch->release(true);
}

BOOST_AUTO_TEST_CASE(misuse_of_handles_is_an_error)
{
    window_ring ring(config(2, 2));
    window_ring other(config(2, 2));
    ring.push(0, ramp(2).data(), 2);
    const auto batch = ring.take(0.0);
    BOOST_CHECK_THROW(other.release(*batch, true), std::logic_error);
    BOOST_TEST(!batch->released());
    ring.release(*batch, false);
    BOOST_TEST(batch->released());
    BOOST_CHECK_THROW(ring.release(*batch, true), std::logic_error);
    BOOST_CHECK_THROW(batch->samples(), std::logic_error);
    BOOST_CHECK_THROW(batch->info(), std::logic_error);
    BOOST_TEST(ring.counters().windows_dropped == 1u);
    BOOST_TEST(ring.counters().windows_classified == 0u);
    BOOST_CHECK_THROW(ring.take(-1.0), std::invalid_argument);
    BOOST_CHECK_THROW(ring.take(std::nan("")), std::invalid_argument);
}

BOOST_AUTO_TEST_CASE(storage_is_aligned)
{
    window_ring ring(config(128, 128, 4));
    ring.push(0, ramp(512).data(), 512);
    BOOST_TEST(reinterpret_cast<uintptr_t>(ring.take(0.0)->samples()) % 64 == 0u);
}

/* ---- closing, opening ----------------------------------------------------------- */

BOOST_AUTO_TEST_CASE(a_closed_ring_can_be_reopened)
{
    window_ring ring(config(4, 4));
    const auto samples = ramp(6);
    ring.mark_freq(1e6);
    ring.push(0, samples.data(), 6);
    ring.close();
    ring.close();
    BOOST_TEST(ring.closed());
    BOOST_TEST(!ring.finished()); // a batch is left
    ring.reopen(true);
    ring.push(0, samples.data(), 6);
    ring.close();
    const auto before = ring.take(0.0);
    const auto after = ring.take(0.0);
    BOOST_TEST(before->info()->rx_freq_hz == 1e6);
    BOOST_TEST(after->info()->first_sample == 0u);
    BOOST_TEST(std::isnan(after->info()->rx_freq_hz));
    BOOST_TEST(ring.finished());
    BOOST_TEST(ring.counters().samples_in == 12u);
    BOOST_TEST(ring.counters().samples_flushed == 4u);
}

/* ---- arguments ------------------------------------------------------------------ */

BOOST_AUTO_TEST_CASE(arguments_are_checked)
{
    BOOST_TEST(contains(message_of(config(0, 1)), "window_samples is 0"));
    BOOST_TEST(contains(message_of(config(4, 0)), "hop_samples is 0"));
    BOOST_TEST(contains(message_of(config(4, -3)), "hop_samples is -3"));
    BOOST_TEST(contains(message_of(config(4, 4, 0)), "batch_windows is 0"));
    BOOST_TEST(contains(message_of(config(4, 4, 1, 1)), "capacity_batches is 1"));
    BOOST_TEST(contains(message_of(config(4, 4, 1, 1)), "between 2 and"));
    BOOST_TEST(contains(message_of(config(int64_t(1) << 40, 4)), "window_samples"));
    BOOST_TEST(contains(message_of(config(1 << 20, 1, 1 << 20, 4)), "8192 MiB"));
    ring_config c = config(4, 4);
    c.gate_dbfs = std::nan("");
    BOOST_TEST(contains(message_of(c), "gate_dbfs is NaN"));
    c = config(4, 4);
    c.max_wait_s = -0.5;
    BOOST_TEST(contains(message_of(c), "max_wait_s is -0.5"));
    c.max_wait_s = std::nan("");
    BOOST_TEST(contains(message_of(c), "max_wait_s"));
    BOOST_TEST(message_of(config(4, 1000, 1, 2)) == "");

    for (const auto policy : { overflow_policy::block,
                               overflow_policy::drop_oldest,
                               overflow_policy::drop_newest })
        BOOST_TEST((overflow_policy_from_name(overflow_policy_name(policy)) == policy));
    BOOST_CHECK_THROW(overflow_policy_from_name("wait"), std::invalid_argument);
}

/* ---- at work -------------------------------------------------------------------- */

BOOST_AUTO_TEST_CASE(pushing_allocates_nothing)
{
    for (const auto policy :
         { overflow_policy::drop_oldest, overflow_policy::drop_newest }) {
        window_ring ring(config(16, 5, 3, 3, policy));
        const auto samples = ramp(10000);
        ring.push(0, samples.data(), 100);
        const size_t before = allocations;
        for (uint64_t at = 100; at < 10000; at += 100)
            ring.push(at, samples.data() + at, 100);
        BOOST_TEST(allocations == before);
    }
}

BOOST_AUTO_TEST_CASE(only_one_thread_may_push)
{
    window_ring ring(config(2, 2, 1, 2));
    const auto samples = ramp(100);
    std::thread producer([&] { ring.push(0, samples.data(), 100); });
    while (ring.counters().windows_in < 2)
        std::this_thread::sleep_for(1ms);
    BOOST_CHECK_THROW(ring.push(0, samples.data(), 1), std::logic_error);
    BOOST_CHECK_THROW(ring.mark_discontinuity(), std::logic_error);
    ring.close();
    producer.join();
}

BOOST_AUTO_TEST_CASE(the_counters_add_up_at_any_moment)
{
    for (const auto policy : { overflow_policy::block,
                               overflow_policy::drop_oldest,
                               overflow_policy::drop_newest }) {
        ring_config c = config(16, 7, 5, 4, policy);
        c.max_wait_s = 1e-4;
        window_ring ring(c);
        constexpr uint64_t total = 300'000;
        std::atomic<bool> running{ true };

        std::thread producer([&] {
            std::mt19937 random(2);
            const auto samples = ramp(total);
            for (uint64_t at = 0; at < total;) {
                const uint64_t n = std::min<uint64_t>(total - at, random() % 500);
                ring.push(at, samples.data() + at, n);
                at += n;
                if (random() % 8 == 0)
                    ring.mark_time(at, 0.0);
                ring.set_gate_dbfs(random() % 4 == 0 ? 200.0 : -inf);
            }
            ring.close();
        });
        const auto consume = [&] {
            std::mt19937 random(3);
            while (!ring.finished()) {
                const auto batch = ring.take(0.01);
                if (!batch)
                    continue;
                for (size_t w = 0; w < batch->windows(); w++)
                    if (batch->samples()[w * 16 + 15].real() !=
                        batch->info()[w].first_sample + 16)
                        std::abort(); // a window was overwritten in a consumer's hands
                if (random() % 4)
                    batch->release(random() % 2);
            }
        };
        std::thread one(consume), two(consume);
        std::thread observer([&] {
            uint64_t before = 0;
            do {
                const ring_counters now = ring.counters();
                if (!adds_up(now) || now.samples_in < before)
                    std::abort();
                before = now.samples_in;
                std::this_thread::yield();
            } while (running);
        });
        producer.join();
        one.join();
        two.join();
        running = false;
        observer.join();

        const ring_counters end = ring.counters();
        BOOST_TEST(adds_up(end));
        BOOST_TEST(end.samples_in == total);
        BOOST_TEST(end.samples_pending == 0u);
        BOOST_TEST(end.windows_pending == 0u);
        BOOST_TEST(end.batches_taken == 0u);
        BOOST_TEST(end.samples_gated > 0u);
        BOOST_TEST(end.samples_flushed > 0u);
        BOOST_TEST((policy != overflow_policy::block || end.samples_classified > 0u));
    }
}
