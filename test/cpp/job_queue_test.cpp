#include "declip/job_queue.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tap.h"

namespace {

using declip::JobQueue;
using declip::JobSize;
using declip::Priority;
using declip::Task;

constexpr JobSize kSmall{};
const JobSize kLarge = declip::unknown_size();

struct Named : Task {
  std::string name;
};

/// Adds a job; later ones have entered later.
void add(JobQueue& queue,
         const std::string& name,
         Priority priority = Priority::kNormal,
         JobSize size = kSmall,
         const std::string& client = "") {
  static uint64_t entered = 0;
  auto job = std::make_shared<Named>();
  job->name = name;
  job->priority = priority;
  job->size = size;
  job->client = {nullptr, client};
  job->entered = ++entered;
  queue.add(std::move(job));
}

std::string name_of(const JobQueue::Start& start) {
  return start.task ? static_cast<const Named&>(*start.task).name : "-";
}

/// Runs all that wait, one after the other, each for so long.
std::string run_all(JobQueue& queue, double milliseconds = 1) {
  std::string order;
  for (;;) {
    const auto start = queue.next();
    if (!start.task) return order;
    order += name_of(start);
    queue.finished(start, milliseconds);
  }
}

}  // namespace

TEST(queue_small_jobs_run_side_by_side) {
  JobQueue queue(3, true);
  for (const char* name : {"a", "b", "c", "d"}) add(queue, name);
  std::vector<JobQueue::Start> running;
  for (const char* name : {"a", "b", "c", "-"}) {
    running.push_back(queue.next());
    CHECK(name_of(running.back()) == name);
  }
  CHECK(running[0].threads == 1);
  queue.finished(running[1], 1);
  CHECK(name_of(queue.next()) == "d");
  CHECK(queue.running()[1] == 3);
  CHECK(queue.waiting()[1] == 0);
}

TEST(queue_large_jobs_run_alone_and_wait_in_line) {
  JobQueue queue(2, true);
  add(queue, "a");
  add(queue, "L", Priority::kNormal, kLarge);
  add(queue, "b");
  const auto a = queue.next();
  CHECK(!queue.next().task);  // b does not pass L
  queue.finished(a, 1);
  const auto large = queue.next();
  CHECK(name_of(large) == "L");
  CHECK(large.threads == 2);
  CHECK(!queue.next().task);
  queue.finished(large, 1);
  CHECK(name_of(queue.next()) == "b");
}

TEST(queue_jobs_in_between_take_some_threads) {
  JobQueue queue(8, true);
  for (const char* name : {"a", "b", "c"}) {
    add(queue, name, Priority::kNormal, {3e10, 0});
  }
  const auto a = queue.next(), b = queue.next();
  CHECK(a.threads == 3);
  CHECK(b.threads == 3);
  CHECK(!queue.next().task);
  queue.finished(a, 1);
  CHECK(name_of(queue.next()) == "c");
}

TEST(queue_threads_of_a_job_are_a_matter_of_its_size) {
  CHECK(declip::threads_of({}, 8) == 1);
  CHECK(declip::threads_of({1e10, 0}, 8) == 1);
  CHECK(declip::threads_of({1.1e10, 0}, 8) == 2);
  CHECK(declip::threads_of({1e15, 0}, 8) == 8);
  CHECK(declip::threads_of({0, 1e9}, 8) == 8);
  CHECK(declip::threads_of(declip::unknown_size(), 8) == 8);
  CHECK(declip::threads_of(declip::unknown_size(), 1) == 1);
}

TEST(queue_other_threads_are_for_the_next_jobs) {
  JobQueue queue(1, false);
  add(queue, "L", Priority::kNormal, kLarge);
  const auto first = queue.next();
  queue.set_threads(4);
  add(queue, "b");
  CHECK(name_of(queue.next()) == "b");
  queue.finished(first, 1);
  queue.set_threads(1);
  add(queue, "c");
  CHECK(!queue.next().task);  // b runs
}

TEST(queue_high_priority_comes_first) {
  JobQueue queue(1, false);
  add(queue, "l", Priority::kLow);
  add(queue, "n");
  add(queue, "h", Priority::kHigh);
  CHECK(run_all(queue) == "hnl");
}

TEST(queue_a_small_job_of_high_priority_starts_beside_a_large_one) {
  JobQueue queue(2, true);
  add(queue, "L", Priority::kNormal, kLarge);
  const auto large = queue.next();
  add(queue, "n");
  add(queue, "H", Priority::kHigh, kLarge);
  CHECK(!queue.next().task);
  add(queue, "h", Priority::kHigh);
  add(queue, "i", Priority::kHigh);
  const auto spare = queue.next();
  CHECK(name_of(spare) == "h");
  CHECK(spare.spare);
  CHECK(!queue.next().task);  // one at a time
  queue.finished(spare, 1);
  CHECK(name_of(queue.next()) == "i");
  queue.finished(large, 1);
  CHECK(name_of(queue.next()) == "H");
}

TEST(queue_only_small_jobs_take_the_spare_thread) {
  JobQueue queue(1, true);
  add(queue, "L", Priority::kNormal, kLarge);
  const auto large = queue.next();
  add(queue, "H", Priority::kHigh, kLarge);
  CHECK(large.threads == 1);
  CHECK(!queue.next().task);
  add(queue, "h", Priority::kHigh);
  CHECK(name_of(queue.next()) == "h");
}

TEST(queue_a_lower_priority_gets_an_eighth_of_the_time) {
  JobQueue queue(1, false);
  for (int i = 0; i < 4; ++i) add(queue, "l", Priority::kLow);
  for (int i = 0; i < 40; ++i) add(queue, "n");
  const auto order = run_all(queue, 50);
  // Before the first has run it is not known how long they take.
  CHECK(order.substr(0, 20) == "nnnlnnnnnnnlnnnnnnnl");
  CHECK(order.size() == 44);
  // Long ones of low priority keep others waiting no more than that.
  for (int i = 0; i < 30; ++i) add(queue, "n");
  add(queue, "L", Priority::kLow);
  add(queue, "M", Priority::kLow);
  std::string names;
  for (;;) {
    const auto start = queue.next();
    if (!start.task) break;
    names += name_of(start);
    queue.finished(start, start.priority == Priority::kLow ? 1000 : 50);
  }
  CHECK(names.find('L') == 7);
  CHECK(names.find('M') == 31);  // at the end
}

TEST(queue_a_large_job_of_low_priority_is_let_in) {
  JobQueue queue(2, true);
  add(queue, "L", Priority::kLow, kLarge);
  for (int i = 0; i < 100; ++i) add(queue, "n");
  std::vector<JobQueue::Start> running;
  std::string order;
  for (int i = 0; i < 50; ++i) {
    for (auto start = queue.next(); start.task; start = queue.next()) {
      order += name_of(start);
      running.push_back(start);
    }
    queue.finished(running.front(), 20);
    running.erase(running.begin());
  }
  CHECK(order.find('L') != std::string::npos);
}

TEST(queue_clients_take_turns) {
  JobQueue queue(1, false);
  const auto of = [&](const char* client, int jobs) {
    for (int i = 0; i < jobs; ++i) {
      add(queue, client, Priority::kNormal, kSmall, client);
    }
  };
  of("a", 5);
  of("b", 2);
  of("c", 1);
  CHECK(run_all(queue) == "abcabaaa");
  // One that comes when another has had its turn is next, one that comes
  // again is not before those that wait.
  of("a", 4);
  auto start = queue.next();
  of("b", 1);
  queue.finished(start, 1);
  std::string order = name_of(start);
  for (int i = 0; i < 4; ++i) {
    start = queue.next();
    order += name_of(start);
    queue.finished(start, 1);
    if (name_of(start) == "b") of("b", 1);
  }
  CHECK(order == "aabab" || order == "ababa");
}

TEST(queue_a_client_is_served_in_the_order_of_its_calls) {
  JobQueue queue(1, false);
  for (const int entered : {7, 3, 5}) {
    auto job = std::make_shared<Named>();
    job->name = std::to_string(entered);
    job->entered = static_cast<uint64_t>(entered);
    queue.add(job);
  }
  CHECK(run_all(queue) == "357");
}

TEST(queue_jobs_are_taken_out) {
  JobQueue queue(1, false);
  add(queue, "a");
  add(queue, "b", Priority::kHigh);
  add(queue, "c");
  const auto taken = queue.take([](const Task& task) {
    return static_cast<const Named&>(task).name != "c";
  });
  CHECK(taken.size() == 2);
  CHECK(queue.waiting()[1] == 1);
  CHECK(queue.waiting()[2] == 0);
  CHECK(run_all(queue) == "c");
}
