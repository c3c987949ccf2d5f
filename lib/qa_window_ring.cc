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
#include <thread>
#include <vector>

using namespace gr::tsddae;
using namespace std::chrono_literals;

/*
 * What tests/blocks/test_window_batcher.py cannot see or do from Python: threads that
 * wait, clocks, interruptions and allocations. How a stream is cut, the policies, the
 * gate, tags, arguments and handles are tested there.
 */

/* ---- allocations of this thread --------------------------------------------------- */

static thread_local size_t allocations = 0;
static thread_local bool out_of_memory = false;

// Not inlined, or the compiler takes malloc() with delete for a mistake.
#define NOINLINE __attribute__((noinline))
NOINLINE void* operator new(size_t size)
{
    allocations++;
    void* memory = out_of_memory ? nullptr : std::malloc(size);
    if (memory)
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

//! Sample number k is k + 1: no window is silent, and each shows which samples it holds.
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

//! Take all batches and check their samples. \returns the windows' first sample numbers.
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

} // namespace

BOOST_AUTO_TEST_CASE(a_jump_in_sample_numbers_is_a_discontinuity)
{
    window_ring ring(config(4, 4));
    ring.push(0, ramp(6).data(), 6);
    ring.push(100, ramp(6, 100).data(), 6);
    ring.close();
    BOOST_TEST((take_all(ring) == std::vector<uint64_t>{ 0, 100 }));
    BOOST_TEST(ring.counters().samples_flushed == 4u);
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
            ring_config c = config(length, length, 1, 2);
            c.gate_dbfs = -inf;
            window_ring ring(c);
            // One sample in front: vector instructions meet an odd address.
            std::vector<gr_complex> samples(length + 1, gr_complex(0.6f, -0.8f) * level);
            ring.push(0, samples.data() + 1, length);
            const double wanted = 20.0 * std::log10(double(level));
            BOOST_TEST(std::abs(ring.take(0.0)->info()->power_dbfs - wanted) < 1e-4);
        }
    }
}

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

BOOST_AUTO_TEST_CASE(without_memory_for_its_handle_a_batch_stays_in_the_ring)
{
    window_ring ring(config(2, 2, 1, 2));
    ring.push(0, ramp(4).data(), 4);
    out_of_memory = true;
    bool failed = false;
    try {
        ring.take(0.0);
    } catch (const std::bad_alloc&) {
        failed = true;
    }
    out_of_memory = false;
    BOOST_TEST(failed);
    BOOST_TEST(ring.counters().batches_taken == 0u);
    BOOST_TEST((take_all(ring) == std::vector<uint64_t>{ 0, 2 }));
    BOOST_TEST(ring.counters().samples_classified == 4u);
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
                    ring.mark_discontinuity();
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
