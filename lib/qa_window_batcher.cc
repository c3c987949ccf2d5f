/* -*- c++ -*- */
/*
 * This file is part of gr-tsddae.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */

#include <gnuradio/io_signature.h>
#include <gnuradio/top_block.h>
#include <gnuradio/tsddae/window_batcher.h>
#include <boost/test/unit_test.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <thread>
#include <vector>

using namespace gr::tsddae;
using namespace std::chrono_literals;

namespace {

//! Sample number k is k modulo 2^20; with tags; ends after n samples.
class ramp_source : public gr::sync_block
{
public:
    typedef std::shared_ptr<ramp_source> sptr;
    static constexpr uint64_t endless = ~uint64_t(0);

    ramp_source(uint64_t n, std::vector<gr::tag_t> tags)
        : gr::sync_block("ramp_source",
                         gr::io_signature::make(0, 0, 0),
                         gr::io_signature::make(1, 1, sizeof(gr_complex))),
          d_n(n),
          d_tags(std::move(tags))
    {
    }

    int work(int n, gr_vector_const_void_star&, gr_vector_void_star& out) override
    {
        const uint64_t first = nitems_written(0);
        const uint64_t end = std::min(d_n, first + n);
        if (end == first)
            return WORK_DONE;
        for (uint64_t k = first; k < end; k++)
            static_cast<gr_complex*>(out[0])[k - first] = gr_complex(k % (1 << 20), 0);
        for (const gr::tag_t& tag : d_tags)
            if (first <= tag.offset && tag.offset < end)
                add_item_tag(0, tag);
        return end - first;
    }

private:
    const uint64_t d_n;
    const std::vector<gr::tag_t> d_tags;
};

gr::tag_t tag(uint64_t offset, const char* key, pmt::pmt_t value)
{
    gr::tag_t t;
    t.offset = offset;
    t.key = pmt::mp(key);
    t.value = value;
    return t;
}

pmt::pmt_t time_value(uint64_t full_s, double frac_s)
{
    return pmt::make_tuple(pmt::from_uint64(full_s), pmt::from_double(frac_s));
}

//! A source and a batcher.
struct flowgraph {
    explicit flowgraph(const ring_config& config,
                       uint64_t n = ramp_source::endless,
                       std::vector<gr::tag_t> tags = {})
        : top(gr::make_top_block("qa")),
          source(gnuradio::make_block_sptr<ramp_source>(n, std::move(tags))),
          batcher(window_batcher::make(config)),
          ring(*batcher->ring())
    {
        top->connect(source, 0, batcher, 0);
    }
    gr::top_block_sptr top;
    ramp_source::sptr source;
    window_batcher::sptr batcher;
    window_ring& ring;
};

ring_config config(int64_t window_samples,
                   int64_t hop_samples,
                   int64_t batch_windows,
                   int64_t capacity_batches,
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

bool adds_up(const ring_counters& c)
{
    return c.samples_in == c.samples_classified + c.samples_gated + c.samples_dropped +
                               c.samples_flushed + c.samples_pending;
}

//! Takes all batches until the ring is finished; checks samples against their numbers.
std::vector<window_info> drain(window_ring& ring)
{
    std::vector<window_info> windows;
    while (!ring.finished()) {
        const auto batch = ring.take(0.1);
        if (!batch)
            continue;
        const size_t length = batch->window_samples();
        for (size_t w = 0; w < batch->windows(); w++) {
            const window_info info = batch->info()[w];
            for (size_t k = 0; k < length; k++)
                if (batch->samples()[w * length + k].real() !=
                    (info.first_sample + k) % (1 << 20))
                    throw std::runtime_error("a window holds other samples than it says");
            windows.push_back(info);
        }
        batch->release(true);
    }
    return windows;
}

} // namespace

BOOST_AUTO_TEST_CASE(every_sample_of_a_stream_arrives)
{
    flowgraph fg(config(100, 60, 7, 4), 1'000'003);
    std::thread run([&] { fg.top->run(); });
    const auto windows = drain(fg.ring);
    run.join();
    BOOST_REQUIRE(windows.size() == (1'000'003u - 100) / 60 + 1);
    for (size_t i = 0; i < windows.size(); i++)
        BOOST_REQUIRE_EQUAL(windows[i].first_sample, 60 * i);
    const ring_counters c = fg.ring.counters();
    BOOST_TEST(c.samples_in == 1'000'003u);
    BOOST_TEST(c.samples_pending == 0u);
    BOOST_TEST(adds_up(c));
    BOOST_TEST(fg.batcher->stream_ended());
}

BOOST_AUTO_TEST_CASE(a_stream_that_stood_still_tells_for_how_long)
{
    flowgraph fg(config(100, 100, 1, 2), 1'000'000);
    BOOST_TEST(fg.batcher->longest_stall_s() == 0.0);
    std::thread run([&] { fg.top->run(); });
    std::this_thread::sleep_for(100ms); // nobody takes: work() waits
    drain(fg.ring);
    run.join();
    BOOST_TEST(fg.batcher->longest_stall_s() >= 0.05);
}

BOOST_AUTO_TEST_CASE(tags_cut_and_describe_windows)
{
    flowgraph fg(config(10, 10, 1, 100),
                 200,
                 { tag(0, "rx_time", time_value(7, 0.125)),
                   tag(0, "rx_rate", pmt::from_double(1e6)),
                   tag(25, "rx_freq", pmt::from_double(1e8)),
                   tag(33, "rx_freq", pmt::from_double(1e8)), // no change
                   tag(50, "rx_freq", pmt::from_double(2e8)),
                   tag(50, "rx_time", time_value(8, 0.5)),
                   tag(66, "rx_freq", pmt::mp("soon")), // malformed: ignored
                   tag(67, "rx_time", pmt::from_double(9.5)),
                   tag(68, "rx_rate", pmt::PMT_NIL),
                   tag(69, "packet_len", pmt::from_long(3)),
                   tag(95, "rx_rate", pmt::from_double(2e6)) });
    fg.top->run();
    const auto windows = drain(fg.ring);
    std::vector<uint64_t> starts;
    for (const window_info& window : windows)
        starts.push_back(window.first_sample);
    std::vector<uint64_t> expected = { 0, 10, 25, 35, 50, 60, 70, 80 };
    for (uint64_t start = 95; start + 10 <= 200; start += 10)
        expected.push_back(start);
    BOOST_TEST(starts == expected);
    BOOST_TEST(fg.ring.counters().samples_flushed == 5u + 5u + 5u + 5u);

    BOOST_TEST(windows[0].rx_time_full_s == 7u);
    BOOST_TEST(windows[0].rx_time_frac_s == 0.125);
    BOOST_TEST(windows[0].rx_rate_hz == 1e6);
    BOOST_TEST(std::isnan(windows[0].rx_freq_hz));
    BOOST_TEST(windows[2].rx_freq_hz == 1e8);
    BOOST_TEST(windows[4].rx_freq_hz == 2e8);
    BOOST_TEST(windows[4].rx_time_full_s == 8u);
    BOOST_TEST(windows[4].rx_time_sample == 50u);
    BOOST_TEST(windows[7].rx_freq_hz == 2e8);
    BOOST_TEST(windows[7].rx_rate_hz == 1e6);
    BOOST_TEST(windows[8].rx_rate_hz == 2e6);
}

BOOST_AUTO_TEST_CASE(stop_ends_the_wait_of_a_block_that_nobody_serves)
{
    flowgraph fg(config(64, 64, 4, 2));
    for (int run = 0; run < 20; run++) {
        fg.top->start();
        std::this_thread::sleep_for(run % 3 * 1ms); // before, while, after it fills up
        while (run == 10 && fg.ring.counters().windows_pending < 8)
            std::this_thread::sleep_for(1ms);
        fg.top->stop();
        fg.top->wait();
        BOOST_TEST(adds_up(fg.ring.counters()));
        BOOST_TEST(fg.ring.closed());
        BOOST_TEST(!fg.batcher->stream_ended());
    }
    BOOST_TEST(fg.ring.counters().windows_pending == 8u);
    BOOST_TEST(drain(fg.ring).size() == 8u);
    BOOST_TEST(fg.ring.counters().samples_pending == 0u);
}

BOOST_AUTO_TEST_CASE(a_flowgraph_can_be_reconfigured_while_it_waits)
{
    flowgraph fg(config(64, 48, 4, 3));
    fg.top->start();
    uint64_t windows = 0;
    for (int i = 0; i < 20; i++) {
        for (int k = 0; k < 5; k++) {
            if (const auto batch = fg.ring.take(60.0)) {
                windows += batch->windows();
                batch->release(true);
            }
        }
        fg.top->lock();
        fg.top->unlock();
    }
    fg.top->stop();
    fg.top->wait();
    windows += drain(fg.ring).size();
    const ring_counters c = fg.ring.counters();
    BOOST_TEST(windows > 100u);
    BOOST_TEST(c.windows_classified == windows);
    BOOST_TEST(c.samples_pending == 0u);
    BOOST_TEST(adds_up(c));
}

BOOST_AUTO_TEST_CASE(another_start_counts_from_zero_and_forgets_tags)
{
    flowgraph fg(config(10, 10, 1, 8),
                 25,
                 { tag(15, "rx_freq", pmt::from_double(1e8)),
                   tag(3, "rx_time", time_value(1, 0.0)) });
    fg.top->run();
    fg.top->run();
    const auto windows = drain(fg.ring);
    BOOST_REQUIRE(windows.size() == 4);
    for (const size_t run : { 0, 2 }) {
        BOOST_TEST(windows[run].first_sample == 3u);
        BOOST_TEST(windows[run].rx_time_sample == 3u);
        BOOST_TEST(std::isnan(windows[run].rx_freq_hz));
        BOOST_TEST(windows[run + 1].first_sample == 15u);
        BOOST_TEST(windows[run + 1].rx_freq_hz == 1e8);
    }
    BOOST_TEST(fg.ring.counters().samples_in == 50u);
}

BOOST_AUTO_TEST_CASE(a_consumer_that_closes_the_ring_ends_the_flowgraph)
{
    flowgraph fg(config(64, 64, 4, 2));
    fg.top->start();
    BOOST_TEST(fg.ring.take(60.0));
    fg.ring.close();
    fg.top->wait(); // without stop()
    BOOST_TEST(!fg.batcher->stream_ended());
    BOOST_TEST(adds_up(fg.ring.counters()));
}

BOOST_AUTO_TEST_CASE(dropping_policies_never_wait)
{
    for (const auto policy :
         { overflow_policy::drop_oldest, overflow_policy::drop_newest }) {
        flowgraph fg(config(100, 100, 4, 2, policy), 1'000'000);
        fg.top->run();
        ring_counters c = fg.ring.counters();
        BOOST_TEST(c.samples_in == 1'000'000u);
        BOOST_TEST(c.windows_dropped == 10'000u - 8u);
        BOOST_TEST(c.samples_pending == 800u);
        const auto windows = drain(fg.ring);
        const bool oldest = policy == overflow_policy::drop_oldest;
        BOOST_TEST(windows.front().first_sample == (oldest ? 999'200u : 0u));
    }
}
