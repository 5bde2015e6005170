#include "declip/job_queue.h"

#include <algorithm>
#include <tuple>

namespace declip {
namespace {

/// Of eight parts of the time a lower priority gets one.
constexpr double kPartsBefore = 7;
/// Jobs that take less than this many milliseconds count as if they took it.
constexpr double kLeastTime = 20;

}  // namespace

JobQueue::JobQueue(int threads, bool spare)
    : threads_(threads), spare_(spare) {}

void JobQueue::add(std::shared_ptr<Task> task) {
  auto& level = levels_[static_cast<size_t>(task->priority)];
  if (level.waiting++ == 0) level.passed = 0;
  const auto [line, fresh] = level.lines.try_emplace(task->client);
  // Behind those that have waited for their turn since the last one was given.
  if (fresh) line->second.turn = level.turns;
  const auto entered = task->entered;
  line->second.tasks.emplace(entered, std::move(task));
}

JobQueue::Place JobQueue::first() const {
  Level* chosen = nullptr;
  for (auto& level : levels_) {  // from low to high
    if (level.waiting == 0) continue;
    chosen = &level;
    if (level.passed >= kPartsBefore * std::max(level.last, kLeastTime)) break;
  }
  if (chosen == nullptr) return {};
  const auto line = std::min_element(
      chosen->lines.begin(),
      chosen->lines.end(),
      [](const auto& a, const auto& b) {
        return std::tuple(a.second.turn, a.second.tasks.begin()->first) <
               std::tuple(b.second.turn, b.second.tasks.begin()->first);
      });
  return {chosen, line, line->second.tasks.begin()};
}

JobQueue::Place JobQueue::first_small() const {
  auto& level = levels_[static_cast<size_t>(Priority::kHigh)];
  Place found;
  for (auto line = level.lines.begin(); line != level.lines.end(); ++line) {
    if (found.level && found.line->second.turn <= line->second.turn) continue;
    auto& tasks = line->second.tasks;
    const auto small = std::find_if(tasks.begin(), tasks.end(), [&](auto& t) {
      return is_small(t.second->size);
    });
    if (small != tasks.end()) found = {&level, line, small};
  }
  return found;
}

JobQueue::Start JobQueue::next() {
  const auto place = first();
  if (place.level == nullptr) return {};
  const int wanted = threads_of(place.task->second->size, threads_);
  if (used_ + wanted <= threads_) return start(place, wanted, false);
  if (!spare_) return {};
  const auto small = first_small();
  return small.level == nullptr ? Start{} : start(small, 1, true);
}

JobQueue::Start JobQueue::start(const Place& place, int threads, bool spare) {
  auto& [level, line, found] = place;
  auto task = std::move(found->second);
  auto& tasks = line->second.tasks;
  tasks.erase(found);
  line->second.turn = ++level->turns;
  if (tasks.empty()) level->lines.erase(line);
  --level->waiting;
  ++level->running;
  level->passed = 0;
  if (spare) {
    spare_ = false;
  } else {
    used_ += threads;
  }
  Start out{std::move(task), {}, threads, spare};
  out.priority = out.task->priority;
  for (size_t lower = 0; lower < static_cast<size_t>(out.priority); ++lower) {
    out.passed[lower] = levels_[lower].waiting > 0;
  }
  return out;
}

void JobQueue::finished(const Start& start, double milliseconds) {
  const auto priority = static_cast<size_t>(start.priority);
  const double time = milliseconds * start.threads;
  --levels_[priority].running;
  levels_[priority].last = time;
  for (size_t lower = 0; lower < priority; ++lower) {
    if (start.passed[lower]) levels_[lower].passed += time;
  }
  if (start.spare) {
    spare_ = true;
  } else {
    used_ -= start.threads;
  }
}

std::vector<std::shared_ptr<Task>> JobQueue::take(
    const std::function<bool(const Task&)>& which) {
  std::vector<std::shared_ptr<Task>> taken;
  for (auto& level : levels_) {
    for (auto line = level.lines.begin(); line != level.lines.end();) {
      auto& tasks = line->second.tasks;
      for (auto task = tasks.begin(); task != tasks.end();) {
        if (which(*task->second)) {
          taken.push_back(std::move(task->second));
          task = tasks.erase(task);
          --level.waiting;
        } else {
          ++task;
        }
      }
      line = tasks.empty() ? level.lines.erase(line) : std::next(line);
    }
  }
  return taken;
}

std::array<int64_t, kPriorities> JobQueue::waiting() const {
  return {levels_[0].waiting, levels_[1].waiting, levels_[2].waiting};
}

std::array<int64_t, kPriorities> JobQueue::running() const {
  return {levels_[0].running, levels_[1].running, levels_[2].running};
}

}  // namespace declip
